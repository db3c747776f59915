/* SPDX-License-Identifier: Apache-2.0 */
/* `weft help` and what every subcommand says about its own use. */
#include <string.h>

#include "cli/cli.h"

void weft_cli_print_help(const struct weft_cli *cli, FILE *out)
{
	fprintf(out, "Usage: %s <cmd> [<args>]\n\nAvailable subcommands:\n", cli->program);
	for (const struct weft_cli_command *c = weft_cli_commands; c->name; c++)
		if (!cli->as_wg || c->owner == WEFT_CLI_WG)
			fprintf(out, "  %s: %s\n", c->name, c->help);
	fprintf(out, "You may pass `--help' to any of these subcommands to view usage.\n");
}

int weft_cli_help(const struct weft_cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	weft_cli_print_help(cli, stdout);
	return 0;
}

bool weft_cli_usage(const struct weft_cli *cli, int argc, char **argv, int min, int max,
		    const char *args, int *ret_exit)
{
	bool asked = argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0);

	if (!asked && argc - 1 >= min && argc - 1 <= max)
		return false;
	/* Asked for, it is output and a success; wg has it as an error either way. */
	fprintf(asked && !cli->as_wg ? stdout : stderr, "Usage: %s %s%s%s%s\n", cli->program,
		argv[0], cli->has_backend ? " [--backend auto | kernel | userspace]" : "",
		args[0] ? " " : "", args);
	*ret_exit = asked && !cli->as_wg ? 0 : 1;
	return true;
}
