/* A stand-in for the cocoon program: what its parts share. main.c says what it can do. */
#ifndef EPOCH_SPEC_COCOON_STANDIN_H
#define EPOCH_SPEC_COCOON_STANDIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { BLOCK = 512, PAGE = 4096, PAX_MAX = 1024 * 1024, CONFIG_MAX = 16 * 1024 * 1024 };

/* faults.c: what the environment asks for, what is told, how it ends */

void fake_start(void);         /* before anything is read or written */
void fake_moved(size_t n);     /* so many more bytes have been read or written */
int fake_end(int code);        /* the exit code, once all is done */
bool fake_refuses(void);       /* the work is to be done and not committed */
const char *fake_export(void); /* the file to write instead of an export, or NULL */
const char *fake_keep(void);   /* where a copy of stdin goes, or NULL */
void fake_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool cancelled(void); /* SIGTERM or SIGINT has come */

/* What is removed when the program fails, or NULL. */
void on_failure_remove(const char *directory);
/* "Error: …" on stderr, exit code 1, and nothing left behind. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of log on stderr, as cocoon has them. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *need(void *memory); /* fails for want of it */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* input.c: stdin, gunzipped where it has to be */

struct input;
struct input *input_open(void); /* NULL: stdin was empty */
/* Up to n bytes; fewer only at the end. Fails itself when stdin ends inside of gzip. */
size_t input_read(struct input *in, void *bytes, size_t n);
void input_close(struct input *in);

/* tar.c: headers in both directions */

struct entry {
  char name[256];
  unsigned mode;
  int64_t size;
  int64_t mtime;
  char type;
  char *map; /* the sparse map, or NULL; owned */
  int64_t sparse_size;
};
enum tar_next { TAR_ENTRY, TAR_END_CLEAN, TAR_END_TRAILER };
enum tar_next tar_next(struct input *in, struct entry *e);
void tar_padding(struct input *in, int64_t size);
/* The header of an entry, with an extended one where it is needed. */
void tar_write_header(const struct entry *e);
void out(const void *bytes, size_t n); /* to stdout */
void out_padding(int64_t size);

/* db.c: cocoon's own files, as it has them */

struct span {
  const char *at;
  size_t n;
};
#define SPAN     "%.*s"
#define OF(span) (int)(span).n, (span).at
/* The next member of the object that is left in *rest. Strings keep their quotes. */
bool json_next(struct span *rest, struct span *name, struct span *value);
bool json_get(struct span object, const char *name, struct span *value);
struct span json_object(struct span value); /* what is between its braces */
char *json_string(const char *s);           /* in quotes; owned by who asks */
bool json_is(struct span quoted, const char *word);

char *read_whole(const char *path, size_t max); /* NULL when there is none */
void write_whole(const char *path, const char *bytes);
void make_directories(char *path);
const char *root_directory(void);
int db_lock(const char *kind); /* "snapshot" or "cloudimg"; close() unlocks */
char *db_read(const char *path, const char *empty);

/* the commands: their exit codes */

int snapshot_export(const char *name);
int snapshot_import(const char *name, const char *description);
int snapshot_list(bool json);
int image_import(const char *name);
int image_list(bool json);

#endif
