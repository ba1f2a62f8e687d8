typedef int qr_placeholder_pipeline;
