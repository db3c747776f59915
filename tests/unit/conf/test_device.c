/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a configuration value: lists grow and keep what they hold; limits hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "conf/device.h"

static void lists_grow(void **state)
{
	struct weft_conf_device dev = {0};
	struct weft_conf_peer *peer = NULL;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(weft_conf_add_peer(&dev, &peer), 0);
		assert_int_equal(peer->has, 0);
		peer->keepalive_s = (uint16_t)i;
		for (unsigned j = 0; j < 9; j++) {
			struct weft_prefix p = {.ip.family = WEFT_IPV4, .len = (uint8_t)j};

			assert_int_equal(weft_conf_add_allowed_ip(peer, &p, j & 1), 0);
		}
	}
	assert_int_equal(dev.n_peers, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(dev.peers[i].keepalive_s, i);
		assert_int_equal(dev.peers[i].n_allowed_ips, 9);
		assert_int_equal(dev.peers[i].allowed_ips[8].prefix.len, 8);
		assert_true(dev.peers[i].allowed_ips[7].remove);
	}
	weft_conf_device_clear(&dev);
	assert_int_equal(dev.n_peers, 0);
	weft_conf_device_clear(&dev);
}

static void extras(void **state)
{
	struct weft_conf_extras e = {0};
	struct weft_conf_device dev = {0};
	char longest[WEFT_CONF_EXTRA_NAME_LEN];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(weft_conf_add_extra(&e, "", 0, 1), -EINVAL);
	assert_int_equal(weft_conf_add_extra(&e, "A", 1, 1), -EINVAL);
	assert_int_equal(weft_conf_add_extra(&e, "a=", 2, 1), -EINVAL);
	assert_int_equal(weft_conf_add_extra(&e, longest, sizeof(longest), 1), -EINVAL);
	assert_int_equal(weft_conf_add_extra(&e, longest, sizeof(longest) - 1, 1), 0);
	for (size_t i = 1; i < WEFT_CONF_MAX_EXTRAS; i++)
		assert_int_equal(weft_conf_add_extra(&e, "x_9", 3, i), 0);
	assert_int_equal(weft_conf_add_extra(&e, "x", 1, 1), WEFT_E_LIMIT);
	assert_int_equal(weft_conf_find_extra(&e, "x_9")->value, 1);
	dev.extras = e;
	weft_conf_device_clear(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_grow),
		cmocka_unit_test(extras),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
