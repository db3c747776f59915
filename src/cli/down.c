/* SPDX-License-Identifier: Apache-2.0 */
/* `weft down`: the interface goes, and with it its daemon and all that `up` has done for it. */
#include "cli/cli.h"
#include "control/device.h"

int weft_cli_down(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_conf_device dev = {0};
	struct weft_cli_quick q = {0};
	uint32_t mark;
	int rc = 1;

	if (!weft_cli_open_quick(cli, argc, argv, &q, &rc)) {
		weft_cli_quick_clear(&q);
		return rc;
	}
	rc = weft_control_get(cli->backend, q.name, &dev);
	mark = dev.fwmark;
	weft_conf_device_clear(&dev);
	if (rc) {
		weft_cli_error(cli, "`%s' is not a WireGuard interface", q.name);
		rc = 1;
	} else if (!weft_cli_hooks(cli, &q, &q.conf.pre_down)) {
		rc = 1;
	} else {
		rc = weft_cli_take_down(cli, &q, mark) ? 0 : 1;
		if (!weft_cli_hooks(cli, &q, &q.conf.post_down))
			rc = 1;
	}
	weft_cli_quick_clear(&q);
	return rc;
}
