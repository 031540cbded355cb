/* A stand-in for the cocoon program, for specs and for showing things on machines without
 * virtual machines. It takes what this project gives the real one:
 *
 *   snapshot export -o - [--] NAME          image import [--] NAME
 *   snapshot import [--name=NAME] [--description=TEXT]
 *   snapshot list [-o json]                 image list [-o json]
 *
 * and does with it what the real one does: files as the real one keeps them below
 * $COCOON_ROOT_DIR, an import that takes any end at a block boundary for a good one, SIGTERM
 * and SIGINT that only mark the work as cancelled. An image is kept as it came, where the
 * real one converts it. spec/cocoon/behaviour_spec.lua holds it to that.
 *
 * Where the real one would not go wrong, the environment makes it:
 *
 *   COCOON_FAKE_EXPORT=FILE   export writes this file's bytes, whatever they are
 *   COCOON_FAKE_EXIT=CODE     everything is read or written, nothing is committed, and that
 *                             is the exit code
 *   COCOON_FAKE_DIE=N[:CODE]  ends once N bytes were read or written: with CODE, by the
 *                             signal -CODE when it is negative, by SIGKILL when there is none
 *   COCOON_FAKE_HANG=start    never begins; end: never ends. SIGTERM changes nothing
 *   COCOON_FAKE_SLEEP=SECONDS begins later
 *   COCOON_FAKE_RATE=N        so many bytes a second
 *   COCOON_FAKE_STDERR=N      that many bytes to stderr before anything else
 *   COCOON_FAKE_CHILD=SECONDS leaves a child behind that has stdout and stderr open
 *   COCOON_FAKE_KEEP=FILE     stdin's bytes as they came
 *   COCOON_FAKE_LOG=FILE      appended: "arguments …", "started PID", "entry …",
 *                             "stdin ended[, cancelled]", "archive ended with[out] a trailer",
 *                             "committed NAME", "failed: …", "died after N bytes", "exit CODE"
 */
#include "standin.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] = "cocoon (stand-in)\n\nUsage:\n  cocoon [command]\n\n"
                            "Available Commands:\n  image       Manage images\n"
                            "  snapshot    Manage VM snapshots\n\n"
                            "Flags:\n  -h, --help   help for cocoon\n";

static void log_arguments(char **argv)
{
  char *all = text("arguments");
  for (int i = 1; argv[i]; i++) {
    char *longer = text("%s %s", all, argv[i]);
    free(all);
    all = longer;
  }
  fake_log("%s", all);
  free(all);
}

struct given {
  const char *name, *description, *output;
};

static void parse(int argc, char **argv, struct given *g)
{
  static const struct option known[] = {{"name", required_argument, NULL, 'n'},
                                        {"description", required_argument, NULL, 'd'},
                                        {"output", required_argument, NULL, 'o'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "o:h", known, NULL)) != -1) {
    switch (option) {
    case 'n':
      g->name = optarg;
      break;
    case 'd':
      g->description = optarg;
      break;
    case 'o':
      g->output = optarg;
      break;
    case 'h':
      fputs(usage, stdout);
      exit(0);
    default:
      fail("unknown flag: %s", argv[optind - 1]);
    }
  }
}

static const char *only(int argc, char **argv)
{
  if (argc - optind != 1)
    fail("accepts 1 arg(s), received %d", argc - optind);
  return argv[optind];
}

static int run(const char *noun, const char *verb, int argc, char **argv)
{
  struct given g = {"", NULL, ""};
  bool snapshot = strcmp(noun, "snapshot") == 0, image = strcmp(noun, "image") == 0;
  if (!snapshot && !image)
    fail("unknown command \"%s\" for \"cocoon\"", noun);
  parse(argc, argv, &g);
  fake_start();
  if (strcmp(verb, "list") == 0)
    return (snapshot ? snapshot_list : image_list)(strcmp(g.output, "json") == 0);
  if (image && strcmp(verb, "import") == 0)
    return image_import(only(argc, argv));
  if (snapshot && strcmp(verb, "import") == 0)
    return snapshot_import(g.name, g.description);
  if (snapshot && strcmp(verb, "export") == 0) {
    if (strcmp(g.output, "-") != 0)
      fail("this stand-in exports to stdout only: -o -");
    return snapshot_export(only(argc, argv));
  }
  fputs(usage, stdout); /* as cobra does for a noun with a verb it does not know */
  return 0;
}

int main(int argc, char **argv)
{
  log_arguments(argv);
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
      argc < 3) {
    fputs(usage, stdout);
    return 0;
  }
  return fake_end(run(argv[1], argv[2], argc - 2, argv + 2));
}
