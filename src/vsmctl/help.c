/*
 * Built-in help, man page and shell completion, all from the one table.
 *
 * man/vsmctl.1 and completions/bash/vsmctl are this output, kept in the tree;
 * a test compares.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "vsmctl/vsmctl.h"

static const char description[] =
    "vsmctl makes, lists, attests, verifies, rolls back and deletes sealed "
    "snapshots of a QEMU VM over its QMP socket, and checks reports on them "
    "offline.\n\n"
    "A snapshot is named by tag:NAME or id:HEX; a bare word is a tag first "
    "and an id second.\n\n"
    "Disks are not covered: a report speaks of RAM, vCPUs and devices.";

static const struct {
    VsmctlExit code;
    const char *meaning;
} exits[] = {
    {VSMCTL_MATCH, "match, and trusted; or simply done"},
    {VSMCTL_MISMATCH, "mismatch: what was measured is not what was sealed"},
    {VSMCTL_UNTRUSTED, "not to be trusted, or refused: a report that fails a "
                       "check, stored bytes that were altered, a boot state, "
                       "hypervisor or configuration other than sealed"},
    {VSMCTL_USAGE, "wrong usage, no connection, or anything else that failed"},
    {VSMCTL_UNAVAILABLE, "the state could not be measured"},
    {VSMCTL_ENCRYPTED, "done, and the result is not known here: the report is "
                       "encrypted for its recipient"},
};

static const struct {
    const char *what, *line;
} examples[] = {
    {"Prepare a host, and take its keys to the verifier:",
     "vsmctl setup --tcti device:/dev/tpmrm0 --state-dir /var/lib/vsm/vm1\n"
     "vsmctl keys --tcti device:/dev/tpmrm0 --state-dir /var/lib/vsm/vm1 "
     "--allow-in-process > trust.json"},
    {"Make a snapshot, attest against it, verify the report:",
     "vsmctl snapshot --qmp /run/vm1.qmp good\n"
     "vsmctl request --vm 8d2b4d7e-5a59-4b39-a4bc-a4ad1e5ac21c "
     "--snapshot tag:good --out request.json\n"
     "vsmctl attest --qmp /run/vm1.qmp --request request.json "
     "--out report.jws\n"
     "vsmctl verify --request request.json --trust trust.json report.jws"},
};

/* --- Every option of a subcommand ----------------------------------------- */

typedef void (*EntryFunc)(const GOptionEntry *entry, gpointer opaque);

static void
each_entry(const GOptionEntry *entries, EntryFunc func, gpointer opaque)
{
    for (; entries && entries->long_name; entries++) {
        func(entries, opaque);
    }
}

static void
each_option(const VsmctlCommand *command, EntryFunc func, gpointer opaque)
{
    each_entry(command->options, func, opaque);
    if (command->takes & VSMCTL_TAKES_QMP) {
        each_entry(vsmctl_qmp_entries, func, opaque);
    }
    if (command->takes & VSMCTL_TAKES_HOST) {
        each_entry(vsmctl_host_entries, func, opaque);
    }
    if (command->takes & VSMCTL_TAKES_DAEMON) {
        each_entry(vsmctl_daemon_entries, func, opaque);
    }
    if (command->takes & VSMCTL_TAKES_REQUEST) {
        each_entry(vsmctl_request_entries, func, opaque);
    }
    each_entry(vsmctl_common_entries, func, opaque);
}

/* "-o, --out=FILE" */
static char *option_name(const GOptionEntry *entry)
{
    GString *out = g_string_new(NULL);

    if (entry->short_name) {
        g_string_append_printf(out, "-%c, ", entry->short_name);
    }
    g_string_append_printf(out, "--%s", entry->long_name);
    if (entry->arg_description) {
        g_string_append_printf(out, "=%s", entry->arg_description);
    }
    return g_string_free(out, FALSE);
}

/* --- Help ----------------------------------------------------------------- */

/* Prints @text indented, broken before column 80; empty lines stay. */
static void print_wrapped(const char *text, guint indent)
{
    g_auto(GStrv) paragraphs = g_strsplit(text, "\n\n", -1);

    for (guint i = 0; paragraphs[i]; i++) {
        g_auto(GStrv) words = g_strsplit(paragraphs[i], " ", -1);
        guint column = 0;

        for (guint j = 0; words[j]; j++) {
            guint width = strlen(words[j]);

            if (column > 0 && column + 1 + width > 79) {
                putchar('\n');
                column = 0;
            }
            column += column == 0 ? (guint)printf("%*s%s", indent, "", words[j])
                                  : (guint)printf(" %s", words[j]);
        }
        puts(paragraphs[i + 1] ? "\n" : "");
    }
}

static void print_option(const GOptionEntry *entry, gpointer opaque)
{
    g_autofree char *name = option_name(entry);

    (void)opaque;
    printf("  %s\n", name);
    print_wrapped(entry->description, 6);
}

void vsmctl_print_command_help(const VsmctlCommand *command)
{
    printf("usage: vsmctl %s [OPTION...]%s%s\n\n", command->name,
           *command->args ? " " : "", command->args);
    print_wrapped(command->text, 0);
    puts("\nOptions:");
    each_option(command, print_option, NULL);
}

void vsmctl_print_help(void)
{
    puts("usage: vsmctl SUBCOMMAND [OPTION...] [ARGUMENT...]\n");
    print_wrapped(description, 0);
    puts("\nSubcommands ('vsmctl help SUBCOMMAND' describes one):");
    for (guint i = 0; vsmctl_commands[i]; i++) {
        printf("  %-16s %s\n", vsmctl_commands[i]->name,
               vsmctl_commands[i]->summary);
    }
    puts("\nExit codes:");
    for (guint i = 0; i < G_N_ELEMENTS(exits); i++) {
        printf("  %d\n", exits[i].code);
        print_wrapped(exits[i].meaning, 6);
    }
}

/* --- Man page (man-pages(7), groff_man(7)) -------------------------------- */

/* Hyphens that are typed must stay hyphens; dots must not begin a line. */
static void put_man(const char *text)
{
    for (const char *p = text; *p; p++) {
        bool line_start = p == text || p[-1] == '\n';

        if (*p == '-') {
            fputs("\\-", stdout);
        } else if (*p == '\\') {
            fputs("\\e", stdout);
        } else if (line_start && (*p == '.' || *p == '\'')) {
            printf("\\&%c", *p);
        } else {
            putchar(*p);
        }
    }
}

static void put_paragraphs(const char *text)
{
    g_auto(GStrv) paragraphs = g_strsplit(text, "\n\n", -1);

    for (guint i = 0; paragraphs[i]; i++) {
        if (i > 0) {
            puts(".PP");
        }
        put_man(paragraphs[i]);
        putchar('\n');
    }
}

static void put_option(const GOptionEntry *entry, gpointer opaque)
{
    g_autofree char *name = option_name(entry);

    (void)opaque;
    fputs(".TP\n.B ", stdout);
    put_man(name);
    putchar('\n');
    put_man(entry->description);
    puts(".");
}

static void put_command(const VsmctlCommand *command)
{
    fputs(".SS vsmctl ", stdout);
    put_man(command->name);
    printf(" [OPTION...]%s", *command->args ? " " : "");
    put_man(command->args);
    putchar('\n');
    putchar(g_ascii_toupper(command->summary[0]));
    put_man(command->summary + 1);
    puts(".\n.PP");
    put_paragraphs(command->text);
    each_option(command, put_option, NULL);
}

static void put_examples(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(examples); i++) {
        puts(i > 0 ? ".PP" : "");
        put_man(examples[i].what);
        puts("\n.PP\n.nf\n.RS");
        put_man(examples[i].line);
        puts("\n.RE\n.fi");
    }
}

void vsmctl_print_man(void)
{
    puts(".\\\" SPDX-License-Identifier: GPL-2.0-or-later\n"
         ".\\\" Made by 'vsmctl --print-man': change src/vsmctl/ instead.\n"
         ".TH VSMCTL 1 \"\" \"VSM\" \"User Commands\"\n"
         ".SH NAME\nvsmctl \\- sealed snapshots of a QEMU VM\n"
         ".SH SYNOPSIS\n.B vsmctl\n"
         ".I SUBCOMMAND\n[OPTION...] [ARGUMENT...]\n.br\n"
         ".B vsmctl help\n[SUBCOMMAND]\n.br\n.B vsmctl \\-\\-version\n"
         ".SH DESCRIPTION");
    put_paragraphs(description);
    puts(".SH SUBCOMMANDS");
    for (guint i = 0; vsmctl_commands[i]; i++) {
        put_command(vsmctl_commands[i]);
    }
    puts(".SH EXIT STATUS\nThese numbers do not change.");
    for (guint i = 0; i < G_N_ELEMENTS(exits); i++) {
        printf(".TP\n.B %d\n", exits[i].code);
        put_man(exits[i].meaning);
        puts(".");
    }
    puts(".SH ENVIRONMENT\n.TP\n.B VSM_QMP\n"
         "The QMP socket, if neither \\-\\-qmp nor \\-\\-domain is given.\n"
         ".SH EXAMPLES");
    put_examples();
    puts(".SH SEE ALSO\n.BR qemu (1),\n.BR jose (1),\n"
         ".BR tpm2_checkquote (1)");
}

/* --- Shell completion ----------------------------------------------------- */

static void put_word(const GOptionEntry *entry, gpointer opaque)
{
    GString *words = opaque;

    g_string_append_printf(words, "%s--%s", words->len > 0 ? " " : "",
                           entry->long_name);
}

static void put_case(const VsmctlCommand *command)
{
    GString *words = g_string_new(NULL);

    each_option(command, put_word, words);
    printf("    %s) options='%s'", command->name, words->str);
    if (command->verbs) {
        printf(" verbs='%s'", command->verbs);
    }
    puts(" ;;");
    g_string_free(words, TRUE);
}

/* Words after an option that takes one of a few: "SUBCOMMAND OPTION". */
static const struct {
    const char *pattern, *words;
} values[] = {
    {"request\\ --op", "attest verify rollback"},
    {"*\\ --op", "attest verify rollback watch"},
    {"attest\\ --scope", "full runtime"},
    {"*\\ --scope", "full runtime stored"},
    {"*\\ --profile", "standard strict"},
    {"*\\ --ek", "p-384 rsa-2048"},
};

static void put_values(void)
{
    puts("    case \"${COMP_WORDS[1]} $last\" in");
    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        printf("    %s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); "
               "return ;;\n",
               values[i].pattern, values[i].words);
    }
    puts("    esac");
}

void vsmctl_print_completion(void)
{
    fputs("# bash completion for vsmctl\n"
          "# SPDX-License-Identifier: GPL-2.0-or-later\n"
          "# Made by 'vsmctl --print-completion': change src/vsmctl/ "
          "instead.\n\n"
          "_vsmctl()\n{\n"
          "    local word=\"${COMP_WORDS[COMP_CWORD]}\" options= verbs=\n"
          "    local last=\"${COMP_WORDS[COMP_CWORD-1]}\"\n\n"
          "    if [[ $COMP_CWORD -eq 1 || $last == help ]]; then\n"
          "        COMPREPLY=($(compgen -W 'help",
          stdout);
    for (guint i = 0; vsmctl_commands[i]; i++) {
        printf(" %s", vsmctl_commands[i]->name);
    }
    puts("' -- \"$word\"))\n        return\n    fi");
    put_values();
    puts("    case \"${COMP_WORDS[1]}\" in");
    for (guint i = 0; vsmctl_commands[i]; i++) {
        put_case(vsmctl_commands[i]);
    }
    puts("    esac\n"
         "    if [[ $word == -* ]]; then\n"
         "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
         "    elif [[ $COMP_CWORD -eq 2 && -n $verbs ]]; then\n"
         "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$word\"))\n"
         "    else\n"
         "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "    fi\n}\n\n"
         "complete -o filenames -F _vsmctl vsmctl");
}
