/* image import: any bytes from stdin become an image; any end of them is a good one. */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From stdin into fd; the digest in hex. */
static int64_t receive(struct input *in, int fd, char hex[65])
{
  EVP_MD_CTX *hash = need(EVP_MD_CTX_new());
  unsigned char md[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  char piece[65536];
  int64_t total = 0;
  size_t n;
  EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
  while ((n = input_read(in, piece, sizeof piece)) > 0) {
    EVP_DigestUpdate(hash, piece, n);
    if (write(fd, piece, n) != (ssize_t)n)
      fail("import: %s", strerror(errno));
    total += (int64_t)n;
  }
  EVP_DigestFinal_ex(hash, md, &length);
  for (unsigned i = 0; i < length; i++)
    snprintf(hex + 2 * i, 3, "%02x", md[i]);
  EVP_MD_CTX_free(hash);
  return total;
}

/* The newest import has the name. */
static void commit(const char *name, const char *hex, int64_t size)
{
  int lock = db_lock("cloudimg");
  char *path = text("%s/cloudimg/db/images.json", root_directory());
  char *old = db_read(path, "{\"images\":{}}"), *all = text("%s", ""), *longer;
  struct span images, key, value;
  if (!json_get(json_object((struct span){old, strlen(old)}), "images", &images))
    fail("%s is not what it should be", path);
  images = json_object(images);
  while (json_next(&images, &key, &value)) {
    if (json_is(key, name))
      continue;
    longer = text("%s" SPAN ":" SPAN ",", all, OF(key), OF(value));
    free(all);
    all = longer;
  }
  longer = text("{\"images\":{%s\"%s\":{\"ref\":\"%s\",\"content_sum\":\"sha256:%s\","
                "\"size\":%lld}}}",
                all, name, name, hex, (long long)size);
  write_whole(path, longer);
  fake_log("committed %s", name);
  free(longer);
  free(all);
  free(old);
  free(path);
  close(lock);
}

/* What is kept is the stream itself: cocoon would convert a disk. */
int image_import(const char *name)
{
  char *directory = text("%s/cloudimg/temp", root_directory());
  char *blobs = text("%s/cloudimg/blobs", root_directory());
  char *temp = text("%s/import-%d.img", directory, (int)getpid()), *place, hex[65];
  struct input *in;
  int64_t size;
  int fd;
  say("importing from stdin ...");
  in = input_open();
  if (!in)
    fail("detect image type: peek: EOF");
  make_directories(directory);
  make_directories(blobs);
  fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0)
    fail("import: %s: %s", temp, strerror(errno));
  on_failure_remove(temp);
  size = receive(in, fd, hex);
  close(fd);
  input_close(in);
  if (cancelled())
    fail("import: update index: acquire lock: context canceled");
  if (fake_refuses())
    fail("import: told to fail");
  place = text("%s/%s.qcow2", blobs, hex);
  if (rename(temp, place) != 0 || chmod(place, 0444) != 0)
    fail("import: %s: %s", place, strerror(errno));
  commit(name, hex, size);
  say("import complete: %s -> sha256:%s", name, hex);
  free(place);
  free(temp);
  free(blobs);
  free(directory);
  return 0;
}

int image_list(bool json)
{
  char *path = text("%s/cloudimg/db/images.json", root_directory());
  char *db = db_read(path, "{\"images\":{}}");
  struct span images = {"", 0}, key, value;
  const char *between = "";
  printf(json ? "[" : "NAME\n");
  if (json_get(json_object((struct span){db, strlen(db)}), "images", &images))
    images = json_object(images);
  while (json_next(&images, &key, &value)) {
    if (json)
      printf("%s\n  " SPAN, between, OF(value));
    else
      printf("%.*s\n", (int)key.n - 2, key.at + 1);
    between = ",";
  }
  if (json)
    printf("\n]\n");
  free(db);
  free(path);
  return 0;
}
