/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded cursors over wire data, one for reading and one for writing. The first access past the
 * end makes the error sticky: every later read gives zeros, every later write does nothing, and
 * the caller checks once, at the end. Wire integers are little-endian unless named be.
 */
#ifndef WEFT_UTIL_CURSOR_H
#define WEFT_UTIL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct weft_view {
	const uint8_t *p;
	size_t len;
};

struct weft_reader {
	const uint8_t *p;
	size_t left;
	bool failed;
};

struct weft_writer {
	uint8_t *p;
	size_t left;
	size_t used;
	bool failed;
};

static inline struct weft_reader weft_reader_init(const void *p, size_t len)
{
	return (struct weft_reader){.p = p, .left = len, .failed = false};
}

/* The next `n` bytes in place (borrowed), or NULL and a sticky error. */
static inline const uint8_t *weft_read_bytes(struct weft_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || n > r->left) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static inline void weft_read_copy(struct weft_reader *r, void *out, size_t n)
{
	const uint8_t *p = weft_read_bytes(r, n);

	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

static inline uint32_t weft_get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t weft_get_le64(const uint8_t *p)
{
	return (uint64_t)weft_get_le32(p) | (uint64_t)weft_get_le32(p + 4) << 32;
}

static inline uint16_t weft_get_be16(const uint8_t *p)
{
	return (uint16_t)((uint16_t)p[0] << 8 | p[1]);
}

static inline uint32_t weft_get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

/* By memcpy: of single bytes gcc 12 makes sixty instructions for sixteen bytes. */
static inline void weft_put_le32(uint8_t *p, uint32_t v)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	memcpy(p, &v, sizeof(v));
}

static inline void weft_put_le64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, sizeof(v));
}

static inline void weft_put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void weft_put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline uint32_t weft_read_le32(struct weft_reader *r)
{
	const uint8_t *p = weft_read_bytes(r, 4);

	return p ? weft_get_le32(p) : 0;
}

static inline uint64_t weft_read_le64(struct weft_reader *r)
{
	const uint8_t *p = weft_read_bytes(r, 8);

	return p ? weft_get_le64(p) : 0;
}

static inline struct weft_writer weft_writer_init(void *p, size_t len)
{
	return (struct weft_writer){.p = p, .left = len, .used = 0, .failed = false};
}

/* Room for `n` bytes in place, for the caller to fill, or NULL and a sticky error. */
static inline uint8_t *weft_write_room(struct weft_writer *w, size_t n)
{
	uint8_t *p = w->p;

	if (w->failed || n > w->left) {
		w->failed = true;
		return NULL;
	}
	w->p += n;
	w->left -= n;
	w->used += n;
	return p;
}

static inline void weft_write_bytes(struct weft_writer *w, const void *in, size_t n)
{
	uint8_t *p = weft_write_room(w, n);

	if (p && n)
		memcpy(p, in, n);
}

static inline void weft_write_le32(struct weft_writer *w, uint32_t v)
{
	uint8_t *p = weft_write_room(w, 4);

	if (p)
		weft_put_le32(p, v);
}

static inline void weft_write_le64(struct weft_writer *w, uint64_t v)
{
	uint8_t *p = weft_write_room(w, 8);

	if (p)
		weft_put_le64(p, v);
}

#endif
