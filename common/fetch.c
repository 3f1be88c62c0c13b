#include "common/fetch.h"

#include <pthread.h>
#include <string.h>

#include <curl/curl.h>

#include "common/memory.h"

struct sink {
	struct buffer *answer;
	size_t left;
};

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void
start(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		memory_exhausted();
}

static size_t
take(char *bytes, size_t size, size_t n, void *context)
{
	struct sink *sink = context;

	if (size * n > sink->left)
		return 0; /* libcurl ends the transfer */
	buffer_append(sink->answer, (struct text){ bytes, size * n });
	sink->left -= size * n;
	return size * n;
}

static void
set_common(CURL *curl, const struct fetch_request *request)
{
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
	if (request->credentials != NULL)
		curl_easy_setopt(curl, CURLOPT_USERPWD, request->credentials);
	if (request->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
}

static struct curl_slist *
set_body(CURL *curl, const struct fetch_request *request)
{
	struct buffer header = { 0 };
	struct curl_slist *headers;

	if (request->body == NULL)
		return NULL;
	buffer_format(&header, "Content-Type: %s", request->content_type);
	buffer_byte(&header, '\0');
	headers = curl_slist_append(NULL, header.at);
	buffer_finish(&header);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	return headers;
}

int
fetch(const struct fetch_request *request, long *status, struct buffer *answer,
    struct error *err)
{
	struct sink sink = { answer, request->size_max };
	char reason[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	CURLcode code;
	CURL *curl;

	pthread_once(&started, start);
	curl = curl_easy_init();
	if (curl == NULL)
		memory_exhausted();
	set_common(curl, request);
	headers = set_body(curl, request);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	else
		error_set(err, ERROR_RETRY, "%s: %s", request->url,
		    reason[0] != '\0' ? reason : curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ? 0 : -1;
}
