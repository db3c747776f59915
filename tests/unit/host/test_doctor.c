/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the doctor makes of facts: above all of those that no test can cause on a real host (the
 * clock), and that what is not known is no fault. The rest is caused in
 * tests/system/test_doctor.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "host/doctor.h"

#define NOW 1700000000

static struct weft_doctor_peer peers[2];
static struct weft_doctor_facts f;
static struct weft_findings found;

/* An interface with one peer, and nothing wrong. */
static int well(void **state)
{
	(void)state;
	memset(peers, 0, sizeof(peers));
	memset(&f, 0, sizeof(f));
	strcpy(f.ifname, "wg0");
	f.now_sec = NOW;
	f.has_device = f.has_private_key = f.look.link = f.look.up = true;
	f.look.n_addresses = 0;
	f.look.mtu = 1420;
	memset(f.public_key, 9, WEFT_KEY_LEN);
	f.peers = peers;
	f.n_peers = 1;
	strcpy(peers[0].name, "berlin");
	peers[0].on_device = true;
	peers[0].endpoint = (struct weft_endpoint){
		.ip = {.family = WEFT_IPV4, .b = {203, 0, 113, 1}}, .port = 5};
	peers[0].after = (struct weft_doctor_figures){
		.heard = true, .heard_s = 3, .last_handshake_sec = NOW - 3, .tx_bytes = 148};
	return 0;
}

static int done(void **state)
{
	(void)state;
	weft_findings_clear(&found);
	return 0;
}

static void examine(void)
{
	static struct weft_prefix address = {.ip = {.family = WEFT_IPV4, .b = {10, 0, 0, 1}},
					     .len = 24};

	f.look.addresses = &address;
	f.look.n_addresses = 1;
	weft_findings_clear(&found);
	assert_int_equal(weft_doctor_diagnose(&f, &found), 0);
}

static void expect(enum weft_doctor_step step, enum weft_severity severity, const char *what)
{
	const struct weft_finding *c;

	examine();
	c = weft_doctor_cause(&found);
	assert_non_null(c);
	assert_int_equal(c->step, step);
	assert_int_equal(c->severity, severity);
	if (!strstr(c->what, what))
		fail_msg("\"%s\" is not in \"%s\"", what, c->what);
}

static void nothing(void **state)
{
	(void)state;
	examine();
	assert_int_equal(found.n, 0);
	assert_null(weft_doctor_cause(&found));
}

static void clocks(void **state)
{
	(void)state;
	f.synchronised = WEFT_NO;
	examine();
	assert_null(weft_doctor_cause(&found));
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].step, WEFT_STEP_CLOCK);
	peers[0].after.last_handshake_sec = NOW + 5;
	examine();
	assert_null(weft_doctor_cause(&found));
	peers[0].after.last_handshake_sec = NOW + 3600;
	expect(WEFT_STEP_CLOCK, WEFT_SEVERITY_SUSPECT, "3600 seconds in the future");
	f.now_sec = 86400;
	expect(WEFT_STEP_CLOCK, WEFT_SEVERITY_FAULT, "before 2020");
}

/* Without rights there is a lot that is not known. */
static void not_known(void **state)
{
	(void)state;
	f.listen_port = 51820;
	examine();
	assert_null(weft_doctor_cause(&found));
	assert_int_equal(found.n, 2);
	assert_non_null(strstr(found.v[0].what, "not known"));
	assert_non_null(strstr(found.v[1].what, "not known"));
	/* echo requests may be answered by nobody */
	peers[0].small_answered = WEFT_NO;
	f.rp_filter_strict = f.src_valid_mark = f.forwards = WEFT_NOT_KNOWN;
	examine();
	assert_null(weft_doctor_cause(&found));
}

static void devices(void **state)
{
	(void)state;
	f.has_device = false;
	f.look.link = f.look.up = false;
	f.device_rc = -EACCES;
	expect(WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, "not for you");
	f.device_rc = WEFT_E_PROTOCOL;
	expect(WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, "cannot be read");
	f.has_device = true;
	expect(WEFT_STEP_LINK, WEFT_SEVERITY_SUSPECT, "another network namespace");
}

static void port_of_the_kernel(void **state)
{
	(void)state;
	f.listen_port = 51820;
	f.port_known = f.firewall_known = true;
	f.holder.taken = true;
	f.look.daemon_rc = -ENOENT;
	examine();
	assert_int_equal(found.n, 0);
	f.holder.taken = false;
	expect(WEFT_STEP_PORT, WEFT_SEVERITY_FAULT, "not open");
	/* the daemon's own; or one that cannot be seen while there is a daemon */
	f.holder = (struct weft_port_holder){.taken = true, .pid = 0};
	f.look.daemon_rc = 0;
	f.look.pid = 7;
	examine();
	assert_int_equal(found.n, 0);
	f.holder.pid = 8;
	expect(WEFT_STEP_PORT, WEFT_SEVERITY_FAULT, "another process");
	/* without a device the unseen one is somebody else */
	f.holder.pid = 0;
	f.has_device = f.look.link = f.look.up = false;
	f.device_rc = -ENODEV;
	examine();
	assert_int_equal(found.v[1].step, WEFT_STEP_PORT);
	assert_int_equal(found.v[1].severity, WEFT_SEVERITY_SUSPECT);
}

/* A firewall is only suspected where somebody is missed. */
static void firewalls(void **state)
{
	(void)state;
	f.listen_port = 51820;
	f.port_known = f.firewall_known = true;
	f.holder.taken = true;
	f.firewall = (struct weft_ruleset_verdict){true, true, "inet filter input"};
	examine();
	assert_int_equal(found.n, 0);
	peers[0].after.heard = false;
	expect(WEFT_STEP_PORT, WEFT_SEVERITY_SUSPECT, "may drop");
	/* answers pass: what we begin ourselves has another cause */
	f.firewall.drops_answers = false;
	expect(WEFT_STEP_ANSWERED, WEFT_SEVERITY_FAULT, "never answered");
	/* a peer that has to begin cannot */
	peers[0].endpoint.ip.family = WEFT_NONE;
	expect(WEFT_STEP_PORT, WEFT_SEVERITY_SUSPECT, "may drop");
}

/* Counters that stand still since long ago are a guess, those that grow are not. */
static void counters(void **state)
{
	(void)state;
	peers[0].after.heard = false;
	f.has_drops = true;
	f.drops[WEFT_DOCTOR_MAC1][0] = f.drops[WEFT_DOCTOR_MAC1][1] = 4;
	expect(WEFT_STEP_KEYS, WEFT_SEVERITY_SUSPECT, "since the daemon was started");
	f.drops[WEFT_DOCTOR_MAC1][1] = 5;
	expect(WEFT_STEP_KEYS, WEFT_SEVERITY_FAULT, "just now");
	peers[0].after.heard = true;
	examine();
	assert_null(weft_doctor_cause(&found));
}

/* What was sent to it just now was not answered: what came before that does not count. */
static void provoked(void **state)
{
	(void)state;
	peers[0].provoked = true;
	peers[0].before = peers[0].after;
	expect(WEFT_STEP_ANSWERED, WEFT_SEVERITY_FAULT, "does not answer");
	peers[0].after.rx_bytes++;
	examine();
	assert_int_equal(found.n, 0);
}

/* Somebody's laptop that is off is no fault of a hub. */
static void away(void **state)
{
	(void)state;
	peers[0].provoked = true;
	peers[0].before = peers[0].after;
	peers[0].comes_by_itself = true;
	examine();
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].severity, WEFT_SEVERITY_NOTE);
}

static void path_mtus(void **state)
{
	(void)state;
	peers[0].way_asked = true;
	peers[0].way.mtu = 1480;
	peers[0].path_mtu = 1400;
	examine();
	assert_null(weft_doctor_cause(&found));
	assert_int_equal(found.n, 1);
	peers[0].way.mtu = 1479;
	expect(WEFT_STEP_MTU, WEFT_SEVERITY_SUSPECT, "carries 1479 less 60");
	peers[0].way.mtu = 0; /* not known */
	peers[0].endpoint.ip.family = WEFT_IPV6;
	examine();
	assert_null(weft_doctor_cause(&found));
}

static void natted(void **state)
{
	(void)state;
	peers[0].way_asked = true;
	peers[0].way.source = (struct weft_ip){.family = WEFT_IPV4, .b = {100, 64, 1, 2}};
	expect(WEFT_STEP_NAT, WEFT_SEVERITY_SUSPECT, "behind a NAT");
	peers[0].keepalive_s = 25;
	examine();
	assert_int_equal(found.n, 0);
	peers[0].keepalive_s = 0;
	peers[0].endpoint.ip = (struct weft_ip){.family = WEFT_IPV4, .b = {172, 31, 0, 1}};
	examine();
	assert_int_equal(found.n, 0);
}

static void closed_kill_switch(void **state)
{
	(void)state;
	f.look.kill_switch = -1;
	f.look.up = false;
	examine();
	for (size_t i = 0; i < found.n; i++)
		assert_int_not_equal(found.v[i].step, WEFT_STEP_FIREWALL);
	f.look.kill_switch = 1;
	examine();
	assert_int_equal(found.v[found.n - 1].step, WEFT_STEP_FIREWALL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, well, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing),
		CASE(clocks),
		CASE(not_known),
		CASE(devices),
		CASE(port_of_the_kernel),
		CASE(firewalls),
		CASE(counters),
		CASE(provoked),
		CASE(away),
		CASE(path_mtus),
		CASE(natted),
		CASE(closed_kill_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
