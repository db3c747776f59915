/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays files, and the files of directories, through a fuzz target: the committed corpus in the
 * ordinary test run, or a crashing input in a debugger. Finding no input is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data, *exact;
	size_t len;

	if (!f) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	data = malloc(INPUT_MAX);
	if (!data)
		abort();
	len = fread(data, 1, INPUT_MAX, f);
	(void)fclose(f);
	/* a buffer of just this size, so that a sanitizer sees a read past its end */
	exact = malloc(len ? len : 1);
	if (!exact)
		abort();
	memcpy(exact, data, len);
	free(data);
	(void)LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 1;
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int replay(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n, total = 0;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return replay_file(path);
	n = scandir(path, &entries, visible, alphasort);
	if (n < 0) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char file[4096];

		(void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (total >= 0)
			total = replay_file(file) < 0 ? -1 : total + 1;
		free(entries[i]);
	}
	free(entries);
	return total;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i]);

		if (n < 0)
			return 1;
		total += n;
	}
	(void)printf("%s: %d inputs\n", argv[0], total);
	return total ? 0 : 1;
}
