const char *ep_http_version(void);
