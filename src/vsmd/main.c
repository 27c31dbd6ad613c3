/*
 * vsmd: the attester of a host's VMs, in a process of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "vsmd/bounds.h"
#include "vsmd/export.h"
#include "vsmd/log.h"
#include "vsmd/server.h"
#include "vsmd/systemd.h"

/* The exit code of a service that cannot start as it is set up. */
#define EXIT_SETUP 3

/* How long the end waits for requests under way. */
#define STOP_MS 20000

#define LISTEN_MODE 0666 /* who connects is looked at, not who may */
#define ADMIN_MODE 0600

#define CREDENTIAL "vsm.secret"
#define REGISTRY "vms" /* in the state directory */

typedef struct {
    char *config;
    gboolean version, new_secret;
} Early;

static const char description[] =
    "vsmd owns the host's TPM keys, its sealed records and its secret, and "
    "answers the QEMU processes of the host's VMs over a socket. Every "
    "setting may also stand in " VSM_OPTIONS_FILE ", in its group "
    "[" VSM_OPTIONS_GROUP "]; vsmd(8) describes them.";

/* --- Options ------------------------------------------------------------ */

static bool read_config(VsmOptions *options, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) why = NULL;

    if (!g_file_get_contents(path ? path : VSM_OPTIONS_FILE, &text, NULL,
                             &why)) {
        if (!path && g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            return true;
        }
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "%s", why->message);
        return false;
    }
    return vsm_options_load(options, text, path ? path : VSM_OPTIONS_FILE,
                            error);
}

static GOptionContext *
new_context(const GOptionEntry *entries, gpointer data, bool strict)
{
    GOptionContext *context = g_option_context_new(NULL);
    GOptionGroup *group =
        g_option_group_new("vsmd", "Options:", "Options", data, NULL);

    g_option_group_add_entries(group, entries);
    g_option_context_set_main_group(context, group);
    g_option_context_set_summary(context, description);
    g_option_context_set_ignore_unknown_options(context, !strict);
    g_option_context_set_help_enabled(context, strict);
    return context;
}

/* The key file comes first, whatever stands before --config. */
static bool parse_early(Early *early, int argc, char **argv, GError **error)
{
    const GOptionEntry entries[] = {
        {"config", 0, 0, G_OPTION_ARG_FILENAME, &early->config, NULL, NULL},
        {0},
    };
    g_autoptr(GOptionContext) context = new_context(entries, NULL, false);
    g_auto(GStrv) copy = g_strdupv(argv);
    g_autofree char **parsed = g_memdup2(copy, sizeof(char *) * (argc + 1));

    return g_option_context_parse(context, &argc, &parsed, error);
}

static bool
parse(VsmOptions *options, Early *early, int argc, char **argv, GError **error)
{
    g_autofree GOptionEntry *settings = vsm_options_entries();
    const GOptionEntry own[] = {
        {"config", 0, 0, G_OPTION_ARG_FILENAME, &early->config,
         "Settings (default: " VSM_OPTIONS_FILE ", if it is there)", "FILE"},
        {"new-secret", 0, 0, G_OPTION_ARG_NONE, &early->new_secret,
         "Write a new host secret to standard output, for systemd-creds, and "
         "end",
         NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &early->version,
         "Print the version and end", NULL},
        {0},
    };
    g_autoptr(GOptionContext) context = NULL;

    if (!parse_early(early, argc, argv, error) ||
        !read_config(options, early->config, error)) {
        return false;
    }
    g_clear_pointer(&early->config, g_free);
    context = new_context(own, options, true);
    g_option_group_add_entries(g_option_context_get_main_group(context),
                               settings);
    if (!g_option_context_parse(context, &argc, &argv, error)) {
        return false;
    }
    if (argc > 1) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "\"%s\" is no option; vsmd --help lists all", argv[1]);
        return false;
    }
    return vsm_options_check(options, error);
}

/* --- The host ------------------------------------------------------------ */

/* Nobody reads this process's memory, and no core holds it. */
static void close_memory(void)
{
    struct rlimit none = {0, 0};

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
}

/* A connection needs three descriptors, its records some more. */
static void open_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Better turned away at once than accepted and left without a thread. */
static void bound_connections(VsmOptions *options)
{
    guint most = vsm_bounds_connections(options->max_connections,
                                        vsm_bounds_tasks(), vsm_bounds_files());

    if (most < options->max_connections) {
        g_autofree char *wanted =
            g_strdup_printf("%u", options->max_connections);
        g_autofree char *now = g_strdup_printf("%u", most);

        vsm_log(G_LOG_LEVEL_WARNING,
                "max-connections is more than the limits of tasks and "
                "descriptors allow",
                "SET", wanted, "TAKEN", now, NULL);
        options->max_connections = most;
    }
}

static char *secret_path(const VsmOptions *options)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *path =
        folder ? g_build_filename(folder, CREDENTIAL, NULL) : NULL;

    if (options->secret) {
        return g_strdup(options->secret);
    }
    return path && g_file_test(path, G_FILE_TEST_EXISTS)
               ? g_steal_pointer(&path)
               : NULL;
}

static VsmHost *open_host(const VsmOptions *options, GError **error)
{
    g_autofree char *secret = secret_path(options);
    GPtrArray *recipients = options->recipients;
    VsmHostOptions host = {
        .kind = VSM_HOST_DAEMON,
        .state_dir = options->state_dir,
        .tcti = options->tcti,
        .secret_path = secret,
        .operator_key_path = options->operator_key,
        .boot_pcrs = options->boot_pcrs,
        .allow_unmeasured_boot = options->allow_unmeasured_boot,
        .command_ms = options->command_ms,
        .request_ms = options->request_ms,
        .vm_quota_bytes = options->vm_quota_bytes,
        .nv_burst = options->nv_burst,
        .nv_interval_ms = options->nv_interval_ms,
    };
    VsmHost *opened;

    g_ptr_array_add(recipients, NULL); /* ends the vector */
    if (recipients->pdata[0]) {
        host.recipients = (const char *const *)recipients->pdata;
    }
    opened = vsm_host_open(&host, error);
    g_ptr_array_remove_index(recipients, recipients->len - 1);
    return opened;
}

/* --- The life of the daemon ----------------------------------------------- */

static gboolean on_signal(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

typedef struct {
    int listen, admin;
} Sockets;

/* Before the TPM is asked: who connects meanwhile waits in the queue. */
static bool
open_sockets(const VsmOptions *options, Sockets *ret, GError **error)
{
    ret->listen = vsm_server_listen("attester", options->listen, SOCK_SEQPACKET,
                                    LISTEN_MODE, error);
    ret->admin = ret->listen < 0
                     ? -1
                     : vsm_server_listen("admin", options->admin,
                                         SOCK_SEQPACKET, ADMIN_MODE, error);
    return ret->admin >= 0;
}

static void run(VsmServer *server, const Sockets *sockets)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);

    g_unix_fd_add(sockets->listen, G_IO_IN, vsm_server_accept, server);
    g_unix_fd_add(sockets->admin, G_IO_IN, vsm_server_accept_admin, server);
    g_unix_signal_add(SIGTERM, on_signal, loop);
    g_unix_signal_add(SIGINT, on_signal, loop);
    vsm_log(G_LOG_LEVEL_MESSAGE, "ready", "LISTEN", server->options->listen,
            "ADMIN", server->options->admin, "STATE_DIR",
            server->options->state_dir, NULL);
    vsm_systemd_notify("READY=1\nSTATUS=serving");
    g_main_loop_run(loop);
    vsm_systemd_notify("STOPPING=1");
    vsm_log(G_LOG_LEVEL_MESSAGE, "stopping", NULL);
    close(sockets->listen);
    close(sockets->admin);
}

static bool serve(const VsmOptions *options, GError **error)
{
    g_autofree char *registry_path =
        g_build_filename(options->state_dir, REGISTRY, NULL);
    g_autoptr(VsmHost) host = NULL;
    g_autoptr(VsmRegistry) registry = NULL;
    VsmServer *server;
    Sockets sockets;

    if (!open_sockets(options, &sockets, error) ||
        !(host = open_host(options, error)) ||
        !(registry = vsm_registry_open(registry_path, error))) {
        return false;
    }
    server = vsm_server_new(options, host, registry);
    if (!vsm_export_start(server, error)) {
        return false;
    }
    run(server, &sockets);
    if (!vsm_server_stop(server, STOP_MS)) {
        /* A TPM that hangs: what its threads use must not be freed. */
        vsm_log(G_LOG_LEVEL_WARNING, "ended with a request under way", NULL);
        _exit(EXIT_SUCCESS);
    }
    vsm_server_free(server);
    return true;
}

static bool print_secret(GError **error)
{
    g_autoptr(GBytes) bytes = vsm_host_new_secret(VSM_HOST_DAEMON, error);
    gsize size;
    gconstpointer data = bytes ? g_bytes_get_data(bytes, &size) : NULL;

    if (!bytes) {
        return false;
    }
    if (isatty(STDOUT_FILENO)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a secret does not go to a terminal; pipe it: vsmd "
                    "--new-secret | systemd-creds encrypt --name=" CREDENTIAL
                    " - /etc/credstore.encrypted/" CREDENTIAL);
        return false;
    }
    if (write(STDOUT_FILENO, data, size) != (ssize_t)size) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE, "standard output: %s",
                    g_strerror(errno));
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    g_autoptr(VsmOptions) options = vsm_options_new();
    g_autoptr(GError) why = NULL;
    Early early = {NULL};
    bool ok;

    setlocale(LC_ALL, "");
    g_set_prgname("vsmd");
    close_memory();
    open_many_files();
    ok = parse(options, &early, argc, argv, &why);
    vsm_log_init(options->verbose);
    if (ok && early.version) {
        puts("vsmd " VSM_VERSION);
        return EXIT_SUCCESS;
    }
    if (ok && !early.new_secret) {
        bound_connections(options);
    }
    ok = ok && (early.new_secret ? print_secret(&why) : serve(options, &why));
    if (!ok) {
        vsm_log(G_LOG_LEVEL_WARNING, "vsmd cannot start", "REASON",
                why->domain == VSM_ERROR ? vsm_error_name(why->code)
                                         : "invalid",
                "ERROR", why->message, NULL);
        vsm_systemd_notify("STATUS=cannot start");
        return EXIT_SETUP;
    }
    return EXIT_SUCCESS;
}
