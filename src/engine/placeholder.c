typedef int qr_placeholder_engine;
