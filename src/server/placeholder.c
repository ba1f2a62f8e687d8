typedef int qr_placeholder_server;
