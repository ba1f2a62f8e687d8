typedef int qr_placeholder_config;
