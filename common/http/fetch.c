#include "common/http/fetch.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "common/base/memory.h"
#include "common/base/small_file.h"

#define BAD_PORT "%s: a port is 1 to 65535"
#define AUTHORITY_MAX ((size_t)16 * 1024 * 1024)

struct sink {
	struct buffer *answer;
	size_t left;
	bool over; /* there was more than that */
};

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void
start(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		memory_exhausted();
}

static size_t
take_piece(char *bytes, size_t size, size_t n, void *context)
{
	struct sink *sink = context;

	if (size * n > sink->left) {
		sink->over = true;
		return 0; /* libcurl ends the transfer */
	}
	buffer_append(sink->answer, (struct text){ bytes, size * n });
	sink->left -= size * n;
	return size * n;
}

static int
look_for_stop(void *context, curl_off_t unused1, curl_off_t unused2,
    curl_off_t unused3, curl_off_t unused4)
{
	const atomic_bool *stop = context;

	(void)unused1, (void)unused2, (void)unused3, (void)unused4;
	return *stop; /* true: libcurl ends the transfer */
}

/* A part of a URL into `out`; false if it isn't there or too long. */
static bool
get_part(CURLU *url, CURLUPart part, char out[256])
{
	char *text = NULL;
	bool got = curl_url_get(url, part, &text, 0) == CURLUE_OK &&
	    strlen(text) < 256;

	if (got)
		memcpy(out, text, strlen(text) + 1);
	curl_free(text);
	return got;
}

static bool
is_this_machine(const char *host)
{
	return strncmp(host, "127.", 4) == 0
	    ? strspn(host, "0123456789.") == strlen(host)
	    : strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

/* Its scheme and host, of 256 bytes each; -1: ERROR_FATAL (78). */
static int
cut_url(const char *url, char *scheme, char *host, struct error *err)
{
	CURLU *parsed = curl_url();
	char user[256], port[256];
	CURLUcode code;
	int rc = 0;

	if (parsed == NULL)
		memory_exhausted();
	code = curl_url_set(parsed, CURLUPART_URL, url, 0);
	if (code == CURLUE_BAD_PORT_NUMBER ||
	    (code == CURLUE_OK && get_part(parsed, CURLUPART_PORT, port) &&
		strcmp(port, "0") == 0))
		rc = error_fatal(err, 78, BAD_PORT,
		    strchr(url, '@') != NULL ? "the URL" : url);
	else if (code != CURLUE_OK ||
	    !get_part(parsed, CURLUPART_SCHEME, scheme) ||
	    !get_part(parsed, CURLUPART_HOST, host))
		rc = error_fatal(
		    err, 78, "not a URL; expected https://host:port/path");
	else if (get_part(parsed, CURLUPART_USER, user))
		rc = error_fatal(err, 78, "no user and password in a URL");
	curl_url_cleanup(parsed);
	return rc;
}

int
fetch_check_form(const char *url, struct error *err)
{
	char scheme[256] = "", host[256] = "";

	if (cut_url(url, scheme, host, err) != 0)
		return -1;
	if (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)
		return 0;
	return error_fatal(err, 78, "\"%s\" is not http:// or https://", url);
}

int
fetch_check_url(const char *url, struct error *err)
{
	char scheme[256] = "", host[256] = "";

	if (cut_url(url, scheme, host, err) != 0)
		return -1;
	if (strcmp(scheme, "https") == 0 ||
	    (strcmp(scheme, "http") == 0 && is_this_machine(host)))
		return 0;
	return error_fatal(err, 78,
	    "%s://%s: what comes from there could be changed on the way; "
	    "expected https (http only from this machine)",
	    scheme, host);
}

int
fetch_check_authority(const char *path, struct error *err)
{
	struct buffer content = { 0 };
	bool exposed;
	int rc = small_file_read(path, AUTHORITY_MAX, &content, &exposed, err);

	buffer_byte(&content, '\0');
	if (rc == 0 && strstr(content.at, "CERTIFICATE-----") == NULL)
		rc = error_set(err, ERROR_FATAL,
		    "%s: no certificate in it, expected PEM", path);
	if (rc != 0) {
		err->kind = ERROR_FATAL;
		err->exit_code = 78;
	}
	buffer_finish(&content);
	return rc;
}

static void
set_stop(CURL *curl, const atomic_bool *stop)
{
	void *context;

	if (stop == NULL)
		return;
	memcpy(&context, &stop, sizeof context); /* it is only read */
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_stop);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, context);
}

static struct curl_slist *
set_body(CURL *curl, const struct fetch_request *request)
{
	struct buffer header = { 0 };
	struct curl_slist *headers;
	const char *const *more;

	if (request->body == NULL)
		return NULL;
	buffer_format(&header, "Content-Type: %s", request->content_type);
	buffer_byte(&header, '\0');
	headers = curl_slist_append(NULL, header.at);
	buffer_finish(&header);
	for (more = request->headers; more != NULL && *more != NULL; more++)
		headers = curl_slist_append(headers, *more);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	return headers;
}

int
fetch(const struct fetch_request *request, long *status, struct buffer *answer,
    struct error *err)
{
	struct sink sink = { answer, request->size_max, false };
	char reason[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	CURLcode code;
	CURL *curl;
	CURLU *parsed;
	char host[256];

	pthread_once(&started, start);
	curl = curl_easy_init();
	if (curl == NULL)
		memory_exhausted();
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
	if (request->credentials != NULL)
		curl_easy_setopt(curl, CURLOPT_USERPWD, request->credentials);
	if (request->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
	/* A proxy is for the way to other machines. */
	parsed = curl_url();
	if (parsed == NULL)
		memory_exhausted();
	if (curl_url_set(parsed, CURLUPART_URL, request->url, 0) == CURLUE_OK &&
	    get_part(parsed, CURLUPART_HOST, host) && is_this_machine(host))
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_url_cleanup(parsed);
	set_stop(curl, request->stop);
	headers = set_body(curl, request);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_piece);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK || sink.over)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	if (code != CURLE_OK && sink.over)
		error_set(err, ERROR_INPUT, "%s: more than %zu bytes",
		    request->url, request->size_max);
	else if (code != CURLE_OK)
		/* No time that it took: one cause has one text. */
		error_set(err, ERROR_RETRY, "%s: %s", request->url,
		    code == CURLE_OPERATION_TIMEDOUT ? "timed out"
			: reason[0] == '\0' || code == CURLE_COULDNT_CONNECT
			? curl_easy_strerror(code)
			: reason);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ? 0 : -1;
}
