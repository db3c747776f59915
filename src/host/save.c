/* SPDX-License-Identifier: Apache-2.0 */
/* The interface as it is, into its file, in one step. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/device.h"
#include "host/file.h"
#include "host/internal.h"

/* Name servers and domains of resolvconf's lines. */
struct dns {
	struct weft_quick_texts servers, search;
};

static int add_word(struct weft_quick_texts *to, const char *word)
{
	char **v = reallocarray(to->v, to->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	to->v = v;
	v[to->n] = strdup(word);
	return v[to->n++] ? 0 : -ENOMEM;
}

static int parse_dns(char *text, struct dns *ret)
{
	char *line, *save = NULL;
	int rc = 0;

	for (line = strtok_r(text, "\n", &save); line && !rc; line = strtok_r(NULL, "\n", &save)) {
		char *word, *in_line = NULL;
		const char *key = strtok_r(line, " \t", &in_line);
		bool server = key && strcmp(key, "nameserver") == 0;

		if (!server && (!key || strcmp(key, "search") != 0))
			continue;
		while (!rc && (word = strtok_r(NULL, " \t", &in_line)))
			rc = add_word(server ? &ret->servers : &ret->search, word);
	}
	return rc;
}

static void clear_texts(struct weft_quick_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i]);
	free(t->v);
}

/* So that the new name outlives a loss of power, too. */
static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	char *slash;
	int fd;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		return;
	slash[slash == folder ? 1 : 0] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
}

static int replace_file(const char *path, const struct weft_text *text)
{
	char temporary[PATH_MAX];
	int rc;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	rc = weft_file_replace(path, temporary, text);
	if (!rc)
		sync_folder(path);
	return rc;
}

static int make_text(const struct weft_host_job *job, const struct weft_conf_device *dev,
		     struct weft_text *out)
{
	struct weft_quick_now now = {.dev = dev,
				     .dns_servers = &job->quick->dns_servers,
				     .dns_search = &job->quick->dns_search};
	struct weft_host_state is = {0};
	struct weft_ifconf *conf = NULL;
	struct weft_text said = {0};
	struct dns dns = {{0}, {0}};
	int rc = weft_ifconf_open(&conf, job->ifname);

	if (!rc)
		rc = weft_host_observe(conf, job->ifname, 0, &is);
	now.addresses = is.addresses;
	now.n_addresses = is.n_addresses;
	now.mtu = is.mtu;
	if (!rc && weft_host_get_dns(job->ifname, &said) == 0) {
		rc = weft_text_append(&said, "", 1);
		if (!rc)
			rc = parse_dns(said.p, &dns);
		now.dns_servers = &dns.servers;
		now.dns_search = &dns.search;
	}
	if (!rc)
		rc = weft_quick_write(out, job->quick, &now);
	clear_texts(&dns.servers);
	clear_texts(&dns.search);
	weft_text_clear(&said);
	weft_host_state_clear(&is);
	weft_ifconf_close(conf);
	return rc;
}

int weft_host_save_locked(struct weft_host_job *job)
{
	struct weft_conf_device dev = {0};
	struct weft_text text = {0};
	int rc = weft_control_get(job->backend, job->ifname, &dev);

	if (rc) {
		weft_host_error(job, "`%s' is not a WireGuard interface", job->ifname);
		rc = -ENODEV;
	} else {
		weft_host_step(job, "weft showconf %s", job->ifname);
		rc = make_text(job, &dev, &text);
		if (rc)
			weft_host_failed(job, job->ifname, rc);
	}
	if (!rc) {
		rc = replace_file(job->path, &text);
		if (rc)
			weft_host_failed(job, job->path, rc);
	}
	weft_text_clear(&text);
	weft_conf_device_clear(&dev);
	return rc;
}

int weft_host_save(struct weft_host_job *job)
{
	struct weft_host_lock lock = {.fd = -1};
	int rc = weft_host_take_lock(job, "weft save", &lock);

	if (rc)
		return rc;
	rc = weft_host_save_locked(job);
	weft_host_unlock(&lock, rc == -ENODEV);
	return rc;
}
