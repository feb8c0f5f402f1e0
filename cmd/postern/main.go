// Command postern runs the private gate of a software project: reports of
// vulnerabilities come in through it, security releases go out. This package
// turns flags and variables into an instance's configuration and holds the
// operator's commands; docs/operating.md describes them.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // the binary runs where no zones are installed

	"github.com/alecthomas/kong"

	"postern/internal/disclosure"
	"postern/internal/instance"
	"postern/internal/vault"
)

// cli is every command. A command stands here when it is real.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the gate, the desk and work until stopped."`
	Demo    demoCmd    `cmd:"" help:"Run a throwaway instance with sample data, whose time can be moved."`
	Init    initCmd    `cmd:"" help:"Set a new instance up: vault, team key, policy, first member."`
	Unlock  unlockCmd  `cmd:"" help:"Unlock the vault of the running Postern with a passphrase or the recovery phrase."`
	Lock    lockCmd    `cmd:"" help:"Lock the vault of the running Postern; it goes on accepting reports."`
	Member  memberCmd  `cmd:"" help:"Invite, list, disable and reset members of the team."`
	Key     keyCmd     `cmd:"" help:"Show, renew, export and import the team's key."`
	Policy  policyCmd  `cmd:"" help:"Check, apply and show what the project promises."`
	Log     logCmd     `cmd:"" help:"Verify the append-only log."`
	Doctor  doctorCmd  `cmd:"" help:"Say what is wrong with this installation, why, and the command that mends it."`
	Deliver deliverCmd `cmd:"" help:"Take one mail from standard input, for a mail server that pipes."`
	Migrate migrateCmd `cmd:"" help:"Bring the database's schema up to what this program knows."`
	Version versionCmd `cmd:"" help:"Print the program's version."`
}

// io is the outside world of a command.
type console struct {
	in     *bufio.Reader
	file   *os.File // in's, for turning the echo off; nil: not a file
	out    io.Writer
	errors io.Writer
}

// exit is an error that is nothing but an exit code: what there was to say was
// said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	con := &console{in: bufio.NewReader(stdin), file: stdin, out: stdout, errors: stderr}
	var c cli
	code := -1
	parser, err := kong.New(&c,
		kong.Name("postern"),
		kong.Description("The private gate of a software project. Each flag can be given as the variable named beside it."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.Exit(func(n int) { code = n }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "postern:", err)
		return 2
	}
	if len(args) > 0 && args[0] == "help" { // help COMMAND is COMMAND --help
		args = append(args[1:len(args):len(args)], "--help")
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help
		return code
	}
	if err != nil {
		parser.FatalIfErrorf(err)
		return max(code, 2)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return outcome(parsed.Run(con), stderr)
}

// outcome says what went wrong, and what to do where we know.
func outcome(err error, stderr io.Writer) int {
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(stderr, "postern:", err)
	switch {
	case errors.Is(err, vault.ErrLocked):
		fmt.Fprintln(stderr, "Run postern unlock first.")
	case errors.Is(err, instance.ErrNotRunning):
		fmt.Fprintln(stderr, "Start it with postern serve, or check --data.")
	case errors.Is(err, disclosure.ErrNotFound):
		fmt.Fprintln(stderr, "Check what was named; postern doctor tells what is missing.")
	}
	return 1
}

// version names this build; documents rendered by another one are rendered again.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, revision, dirty := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	switch {
	case v != "" && v != "(devel)":
		return v
	case revision != "":
		return revision + dirty
	}
	return "devel"
}

type versionCmd struct{}

func (versionCmd) Run(con *console) error {
	_, err := fmt.Fprintln(con.out, version())
	return err
}

// logger writes lines for people on a terminal and for a journal alike.
func logger(w io.Writer, quiet bool) *slog.Logger {
	level := slog.LevelInfo
	if quiet {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
