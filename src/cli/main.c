/* SPDX-License-Identifier: Apache-2.0 */
/* weft: what a person or a script types. The table of subcommands and the way into them. */
#include <string.h>

#include "cli/cli.h"

const struct weft_cli_command weft_cli_commands[] = {
	{"show", "Shows the current configuration and device information", weft_cli_show,
	 WEFT_CLI_WG, true,
	 "--json INTERFACE|all|interfaces "
	 "public-key|private-key|listen-port|fwmark|peers|preshared-keys|endpoints|allowed-ips|"
	 "latest-handshakes|transfer|persistent-keepalive|dump"},
	{"showconf",
	 "Shows the current configuration of a given WireGuard interface, for use with `setconf'",
	 weft_cli_showconf, WEFT_CLI_WG, true, "INTERFACE"},
	{"set", "Change the current configuration, add peers, remove peers, or change peers",
	 weft_cli_set, WEFT_CLI_WG, true,
	 "INTERFACE "
	 "listen-port=|fwmark=off|private-key=FILE|relay=fast,off|peer=PEER|remove|"
	 "preshared-key=FILE|endpoint=|persistent-keepalive=off|allowed-ips= ..."},
	{"setconf", "Applies a configuration file to a WireGuard interface", weft_cli_setconf,
	 WEFT_CLI_WG, true, "INTERFACE FILE"},
	{"addconf", "Appends a configuration file to a WireGuard interface", weft_cli_addconf,
	 WEFT_CLI_WG, true, "INTERFACE FILE"},
	{"syncconf", "Synchronizes a configuration file to a WireGuard interface",
	 weft_cli_syncconf, WEFT_CLI_WG, true, "INTERFACE FILE"},
	{"up", "Brings up an interface as its file for wg-quick says", weft_cli_up,
	 WEFT_CLI_WG_QUICK, true, "-v CONFIG"},
	{"down", "Takes an interface down, and all that up has done for it", weft_cli_down,
	 WEFT_CLI_WG_QUICK, true, "-v CONFIG"},
	{"reload", "Makes a running interface what its file says by now", weft_cli_reload,
	 WEFT_CLI_WEFT, true, "-v --dry-run --json CONFIG"},
	{"strip", "Prints what is WireGuard's own of a file for wg-quick", weft_cli_strip,
	 WEFT_CLI_WG_QUICK, false, "CONFIG"},
	{"genkey", "Generates a new private key and writes it to stdout", weft_cli_genkey,
	 WEFT_CLI_WG, false, ""},
	{"genpsk", "Generates a new preshared key and writes it to stdout", weft_cli_genpsk,
	 WEFT_CLI_WG, false, ""},
	{"pubkey", "Reads a private key from stdin and writes a public key to stdout",
	 weft_cli_pubkey, WEFT_CLI_WG, false, ""},
	{"completion", "Prints what a shell needs to complete weft's words", weft_cli_completion,
	 WEFT_CLI_WEFT, false, "bash|zsh|fish"},
	{"help", "Shows this list", weft_cli_help, WEFT_CLI_WEFT, false, ""},
	{"version", "Shows the version", weft_cli_version, WEFT_CLI_WEFT, false, ""},
	{NULL, NULL, NULL, WEFT_CLI_WEFT, false, NULL},
};

static const struct weft_cli_command *find(const struct weft_cli *cli, const char *name)
{
	for (const struct weft_cli_command *c = weft_cli_commands; c->name; c++) {
		bool quick = c->owner == WEFT_CLI_WG_QUICK;

		if ((cli->as_wg && quick) || (cli->as_wg_quick && !quick))
			continue;
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static int unknown(const struct weft_cli *cli, const char *name)
{
	const char *names[sizeof(weft_cli_commands) / sizeof(weft_cli_commands[0])];
	const char *near;
	size_t n = 0;

	if (cli->as_wg) {
		fprintf(stderr, "Invalid subcommand: `%s'\n", name);
		weft_cli_print_help(cli, stderr);
		return 1;
	}
	for (const struct weft_cli_command *c = weft_cli_commands; c->name; c++)
		names[n++] = c->name;
	names[n] = NULL;
	near = weft_diag_nearest(name, strlen(name), names);
	if (near)
		weft_cli_error(cli, "\"%s\" is not a subcommand (did you mean %s?)", name, near);
	else
		weft_cli_error(cli, "\"%s\" is not a subcommand (`weft help` lists them)", name);
	return 1;
}

/* wg-quick takes a subcommand and one word, and asked for its usage says it on stderr. */
static int wg_quick(const struct weft_cli *cli, int argc, char **argv)
{
	bool asked = argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
				   strcmp(argv[1], "help") == 0);
	const struct weft_cli_command *command = argc == 3 ? find(cli, argv[1]) : NULL;

	if (command)
		return command->run(cli, argc - 1, argv + 1);
	fprintf(stderr, "Usage: %s [ up | down | strip ] [ CONFIG_FILE | INTERFACE ]\n",
		cli->program);
	return asked ? 0 : 1;
}

/* What was printed counts only once it has arrived. */
static int finish(const struct weft_cli *cli, int rc)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	if (!rc)
		weft_cli_error(cli, "could not write all of the output");
	return rc ? rc : 1;
}

/*
 * Takes --backend out of the words, wherever after the subcommand it stands: a file of that name is
 * ./--backend. False: what is wrong was printed.
 */
static bool take_backend(struct weft_cli *cli, int *argc, char **argv)
{
	static const char option[] = "--backend";
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		const char *value = argv[i] + sizeof(option) - 1;

		if (strncmp(argv[i], option, sizeof(option) - 1) != 0 ||
		    (*value && *value != '=')) {
			argv[n++] = argv[i];
			continue;
		}
		value = *value ? value + 1 : i + 1 < *argc ? argv[++i] : "";
		if (weft_backend_parse(value, strlen(value), &cli->backend)) {
			weft_cli_error(cli, "%s: expected auto, kernel or userspace, found \"%s\"",
				       option, value);
			return false;
		}
		cli->backend_given = true;
	}
	argv[n] = NULL;
	*argc = n;
	return true;
}

int main(int argc, char **argv)
{
	static char show[] = "show";
	static char *only_show[] = {show, NULL};
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	struct weft_cli cli = {.program = "weft"};
	const struct weft_cli_command *command;

	if (argc > 0 && strcmp(slash ? slash + 1 : argv[0], "wg") == 0) {
		cli.program = argv[0]; /* wg names itself as it was called */
		cli.as_wg = true;
	} else if (argc > 0 && strcmp(slash ? slash + 1 : argv[0], "wg-quick") == 0) {
		cli.program = "wg-quick";
		cli.as_wg_quick = true;
		return finish(&cli, wg_quick(&cli, argc, argv));
	}
	if (argc < 2)
		return finish(&cli, weft_cli_show(&cli, 1, only_show));
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
		return finish(&cli, weft_cli_help(&cli, argc - 1, argv + 1));
	if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)
		return finish(&cli, weft_cli_version(&cli, argc - 1, argv + 1));
	command = find(&cli, argv[1]);
	if (!command)
		return unknown(&cli, argv[1]);
	argc--;
	argv++;
	cli.has_backend = command->has_backend && !cli.as_wg;
	if (cli.has_backend && !take_backend(&cli, &argc, argv))
		return 1;
	return finish(&cli, command->run(&cli, argc, argv));
}
