#include "cli/cli.h"
int weft_cli_doctor(const struct weft_cli *cli, int argc, char **argv){(void)cli;(void)argc;(void)argv;return 0;}
