// bin/NAME of a bundle (scripts/bundle.sh): starts libexec/NAME with the variables that tell Open MPI, PMIx,
// hwloc and libibverbs where their parts lie now. They were built for folders of the system, and only
// variables say otherwise.
//
// A program and no shell script: it is to find its folder through symbolic links, without PATH, and with no
// tools. Libraries need nothing of it: the programs in libexec/ find theirs by $ORIGIN, so LD_LIBRARY_PATH
// stays as it is.

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kCannotStart = 3 };  // the exit status of tpbench for an environment that cannot do it

// What lies where, below the folder of the bundle. What the caller had set is of another installation.
static const struct {
  const char* name;
  const char* place;
} kPlaces[] = {
    {"TPBENCH_BUNDLE", ""},
    {"OPAL_PREFIX", ""},
    {"OPAL_EXEC_PREFIX", ""},
    {"OPAL_BINDIR", "/bin"},
    {"OPAL_SBINDIR", "/bin"},
    {"OPAL_LIBEXECDIR", "/libexec"},
    {"OPAL_LIBDIR", "/lib"},
    {"OPAL_PKGLIBDIR", "/lib/openmpi"},
    {"OPAL_DATAROOTDIR", "/share"},
    {"OPAL_DATADIR", "/share"},
    {"OPAL_PKGDATADIR", "/share/openmpi"},
    {"OPAL_SYSCONFDIR", "/etc/openmpi"},
    {"PMIX_PREFIX", ""},
    {"PMIX_EXEC_PREFIX", ""},
    {"PMIX_LIBDIR", "/lib"},
    {"PMIX_PKGLIBDIR", "/lib/pmix"},
    {"PMIX_DATAROOTDIR", "/share"},
    {"PMIX_DATADIR", "/share"},
    {"PMIX_PKGDATADIR", "/share/pmix"},
    {"PMIX_SYSCONFDIR", "/etc/pmix"},
    // PMIX_PKGLIBDIR alone leaves the folder of the system in the list behind it.
    {"PMIX_MCA_mca_base_component_path", "/lib/pmix"},
    {"HWLOC_PLUGINS_PATH", "/lib/hwloc"},
    {"FI_PROVIDER_PATH", "/lib/libfabric"},
};

static void fail(const char* program, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(kCannotStart);
}

static char* joined(const char* a, const char* b, const char* c) {
  const size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
  char* const text = malloc(size);
  if (text == NULL) fail("bundle", "out of memory");
  snprintf(text, size, "%s%s%s", a, b, c);
  return text;
}

static void set(const char* name, const char* value) {
  if (setenv(name, value, 1) != 0) fail(name, "%s", strerror(errno));
}

static void set_unless_given(const char* name, const char* value) {
  if (getenv(name) == NULL) set(name, value);
}

// Drivers of InfiniBand and RoCE adapters: libibverbs looks in folders of the system unless it is told the
// files, each without the end of its name.
static void set_verbs_drivers(const char* root) {
  static const char kEnd[] = "-rdmav";
  char* const folder = joined(root, "/lib/libibverbs", "/");
  DIR* const entries = opendir(folder);
  if (entries != NULL) {
    char* list = joined("", "", "");
    for (const struct dirent* entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
      char* const file = joined(entry->d_name, "", "");
      char* const end = strstr(file, kEnd);
      if (end != NULL) {
        *end = '\0';
        char* const driver = joined(folder, file, "");
        char* const longer = joined(list, *list != '\0' ? ":" : "", driver);
        free(driver);
        free(list);
        list = longer;
      }
      free(file);
    }
    closedir(entries);
    if (*list != '\0') set("RDMAV_DRIVERS", list);
    free(list);
  }
  free(folder);
}

// How daemons are started on other hosts: by their path, which is to be the same there. mpirun cuts the words
// at blanks and the shell of the other host puts them together again.
static void set_launch_agent(const char* root) {
  char* const agent = malloc(2 * strlen(root) + sizeof "/bin/orted");
  if (agent == NULL) fail("mpirun", "out of memory");
  char* to = agent;
  for (const char* from = root; *from != '\0'; ++from) {
    if (*from == ' ') *to++ = '\\';
    *to++ = *from;
  }
  strcpy(to, "/bin/orted");
  set_unless_given("OMPI_MCA_orte_launch_agent", agent);
  free(agent);
}

// A user that the machine has no name for, as in a container: PMIx would look for its home and end with a
// fault.
static void set_home(void) {
  if (getenv("HOME") == NULL && getpwuid(geteuid()) == NULL) set("HOME", "/");
}

static int is_in_path(const char* path, const char* program) {
  while (*path != '\0') {
    const size_t length = strcspn(path, ":");
    char file[PATH_MAX];
    const int written = snprintf(file, sizeof file, "%.*s/%s", (int)length, path, program);
    if (written > 0 && (size_t)written < sizeof file && access(file, X_OK) == 0) return 1;
    path += length + (path[length] == ':');
  }
  return 0;
}

// For mpirun and its daemons: `mpirun -n 2 tpbench` starts the tpbench beside it, and a host without ssh is
// enough for ranks on it alone, where mpirun would refuse to start.
static void set_path(const char* root) {
  const char* const given = getenv("PATH");
  const char* const path = given != NULL && *given != '\0' ? given : "/usr/local/bin:/usr/bin:/bin";
  if (!is_in_path(path, "ssh") && !is_in_path(path, "rsh")) set_unless_given("OMPI_MCA_plm_rsh_agent", "");
  char* const bin = joined(root, "/bin:", path);
  set("PATH", bin);
  free(bin);
}

int main(int argc, char** argv) {
  (void)argc;
  char root[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", root, sizeof root - 1);
  if (length <= 0) fail(argv[0], "cannot read /proc/self/exe: %s", strerror(errno));
  root[length] = '\0';
  // ROOT/bin/NAME: the name is what this file is called, whatever the link is called that led here.
  char* const last = strrchr(root, '/');
  *last = '\0';
  const char* const name = last + 1;
  char* const bin = strrchr(root, '/');
  if (bin == NULL) fail(name, "lies at the root of the file system, not in the folder bin of a bundle");
  *bin = '\0';
  if (strchr(root, ':') != NULL) {
    fail(name, "the folder %s has a colon in its name, which separates folders in lists: move it", root);
  }

  for (size_t i = 0; i < sizeof kPlaces / sizeof *kPlaces; ++i) {
    char* const value = joined(root, kPlaces[i].place, "");
    set(kPlaces[i].name, value);
    free(value);
  }
  set_verbs_drivers(root);
  set_home();
  if (strcmp(name, "mpirun") == 0 || strcmp(name, "orted") == 0) set_path(root);
  // Of an mpirun that was called by a whole path, ranks and all that they start inherit LD_LIBRARY_PATH.
  static char plain_name[] = "mpirun";
  if (strcmp(name, plain_name) == 0) {
    set_launch_agent(root);
    argv[0] = plain_name;
  }

  char* const program = joined(root, "/libexec/", name);
  execv(program, argv);
  fail(name, "cannot start %s: %s", program, strerror(errno));
}
