/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft completion`: what a shell needs to complete weft's words. The scripts are in completion.*;
 * what differs from subcommand to subcommand is put in from the table.
 */
#include <string.h>

#include "cli/cli.h"
#include "completion_text.h"

static const char backend[] = "--backend=auto,kernel,userspace ";

/* Between quotes of any of the shells. */
static void put_quoted(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\"'\"'", stdout);
		else
			putchar(*text);
	}
}

static void put_case(const struct weft_cli_command *c)
{
	printf("\t%s) echo '%s%s' ;;\n", c->name, c->has_backend ? backend : "", c->words);
}

static void put_fish_case(const struct weft_cli_command *c)
{
	printf("\t\tcase %s\n\t\t\techo '%s%s'\n", c->name, c->has_backend ? backend : "",
	       c->words);
}

static void put_zsh_help(const struct weft_cli_command *c)
{
	printf("\t\t\t'%s:", c->name);
	put_quoted(c->help);
	puts("'");
}

static void put_fish_help(const struct weft_cli_command *c)
{
	printf("\t\t\t%s\\t'", c->name);
	put_quoted(c->help);
	puts(c[1].name ? "' \\" : "'");
}

struct shell {
	const char *name;
	const char *text;
	void (*words)(const struct weft_cli_command *c);
	void (*described)(const struct weft_cli_command *c);
};

static const struct shell shells[] = {
	{"bash", text_completion_bash, put_case, NULL},
	{"zsh", text_completion_zsh, put_case, put_zsh_help},
	{"fish", text_completion_fish, put_fish_case, put_fish_help},
};

static void put_names(void)
{
	for (const struct weft_cli_command *c = weft_cli_commands; c->name; c++)
		printf("%s%s", c == weft_cli_commands ? "" : " ", c->name);
}

/* If `*text` begins with `mark`, steps over it. */
static bool take(const char **text, const char *mark)
{
	size_t len = strlen(mark);

	if (strncmp(*text, mark, len) != 0)
		return false;
	*text += len;
	return true;
}

static void put_script(const struct shell *shell)
{
	for (const char *p = shell->text; *p;) {
		void (*put)(const struct weft_cli_command *c) = NULL;

		if (take(&p, "@NAMES@"))
			put_names();
		else if (take(&p, "@WORDS@\n"))
			put = shell->words;
		else if (take(&p, "@DESCRIBED@\n"))
			put = shell->described;
		else
			putchar(*p++);
		for (const struct weft_cli_command *c = weft_cli_commands; put && c->name; c++)
			put(c);
	}
}

int weft_cli_completion(const struct weft_cli *cli, int argc, char **argv)
{
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 1, 1, "bash | zsh | fish", &rc))
		return rc;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(argv[1], shells[i].name) == 0) {
			put_script(&shells[i]);
			return 0;
		}
	}
	weft_cli_error(cli, "completion: expected bash, zsh or fish, found \"%.64s\"", argv[1]);
	return 1;
}
