/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON view: names and types of weft-show(8)'s schema, and no secret unless asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "conf/json.h"

static void make(struct weft_conf_device *dev)
{
	struct weft_conf_peer *p = NULL;
	struct weft_prefix any = {.ip.family = WEFT_IPV6};

	strcpy(dev->name, "wg0");
	memset(dev->private_key.b, 1, WEFT_KEY_LEN);
	dev->listen_port = 51820;
	strcpy(dev->version, "0.1.0");
	assert_int_equal(weft_conf_add_extra(&dev->extras, "drop_rx_mac1", 12, 7), 0);
	assert_int_equal(weft_conf_add_extra(&dev->extras, "cookies_sent", 12, 8), 0);
	assert_int_equal(weft_conf_add_peer(dev, &p), 0);
	memset(p->psk.b, 2, WEFT_KEY_LEN);
	p->rx_bytes = UINT64_MAX;
	p->keepalive_s = 25;
	p->last_handshake_sec = 1700000000;
	assert_int_equal(weft_conf_add_allowed_ip(p, &any, false), 0);
	assert_int_equal(weft_conf_add_extra(&p->extras, "endpoint_changes", 16, 3), 0);
	assert_int_equal(weft_conf_add_peer(dev, &p), 0);
}

static void schema(void **state)
{
	struct weft_conf_device dev = {0};
	struct weft_text out = {0};
	json_t *root, *d, *p;

	(void)state;
	make(&dev);
	assert_int_equal(weft_json_devices(&out, &dev, 1, false), 0);
	assert_int_equal(out.p[out.len - 1], '\n');
	assert_int_equal(weft_text_append(&out, "", 1), 0);
	assert_null(strstr(out.p, "AQEBAQ"));
	assert_null(strstr(out.p, "AgICAg"));
	root = json_loads(out.p, 0, NULL);
	assert_non_null(root);
	d = json_array_get(json_object_get(root, "interfaces"), 0);
	assert_string_equal(json_string_value(json_object_get(d, "name")), "wg0");
	assert_int_equal(json_integer_value(json_object_get(d, "listen_port")), 51820);
	assert_true(json_is_null(json_object_get(d, "fwmark")));
	assert_true(json_is_null(json_object_get(d, "public_key")));
	assert_null(json_object_get(d, "private_key"));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(d, "drops"), "rx_mac1")), 7);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(d, "counters"), "cookies_sent")),
		8);
	assert_int_equal(json_array_size(json_object_get(d, "peers")), 2);
	p = json_array_get(json_object_get(d, "peers"), 0);
	assert_true(json_is_true(json_object_get(p, "has_preshared_key")));
	assert_true(json_is_null(json_object_get(p, "endpoint")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(p, "allowed_ips"), 0)),
			    "::/0");
	assert_true(json_integer_value(json_object_get(p, "rx_bytes")) == INT64_MAX);
	assert_int_equal(json_integer_value(json_object_get(p, "persistent_keepalive")), 25);
	p = json_array_get(json_object_get(d, "peers"), 1);
	assert_true(json_is_null(json_object_get(p, "latest_handshake")));
	assert_true(json_is_null(json_object_get(p, "persistent_keepalive")));
	assert_null(json_object_get(p, "counters"));
	json_decref(root);
	weft_text_clear(&out);
	assert_int_equal(weft_json_devices(&out, &dev, 1, true), 0);
	assert_int_equal(weft_text_append(&out, "", 1), 0);
	assert_non_null(strstr(out.p, "\"private_key\":\"AQEBAQ"));
	assert_non_null(strstr(out.p, "\"preshared_key\":\"AgICAg"));
	weft_text_clear(&out);
	assert_int_equal(weft_json_devices(&out, NULL, 0, false), 0);
	assert_int_equal(out.len, 18);
	assert_memory_equal(out.p, "{\"interfaces\":[]}\n", 18);
	weft_text_clear(&out);
	weft_conf_device_clear(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
