// Command bench measures what users wait for, beside what the same machine
// does without Postern: another program that does the same, or the least that
// could do. Product and peer take turns (A B A B), figures are medians, and
// what is promised are ratios of one run, since a machine that is busy with
// something else makes everything slower and nothing relatively so.
//
// CPU is that of our whole process tree; PostgreSQL's is shown apart. The
// cluster is a private one with fsync as in production. Nothing but loopback
// is contacted. A run ends within fifteen minutes. Its status is 0 when everything
// was measured, whether or not an aim was met.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// longest bounds a whole run.
const longest = 14*time.Minute + 30*time.Second

// bench is one run.
type bench struct {
	quick   bool
	profile string // folder for CPU profiles of the product; empty: none
	cache   string // folder of what is made once: keys
	binary  string // the built program
	rounds  int    // of A B
	pg      *cluster
	missed  int
}

type measurement struct {
	name string
	run  func(*bench, context.Context) error
}

var measurements = []measurement{
	{"fanout", (*bench).fanOut},
	{"intake", (*bench).intake},
	{"inbox", (*bench).inbox},
	{"judge", (*bench).judge},
	{"uploads", (*bench).uploads},
	{"start", (*bench).start},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == sinkCommand {
		runSink()
		return
	}
	b := &bench{rounds: 5}
	only := flag.String("only", "", "measure these `names` alone: fanout,intake,inbox,judge,uploads,start")
	flag.BoolVar(&b.quick, "quick", false, "fewer recipients, cases and rounds: to see whether it works")
	flag.StringVar(&b.profile, "profile", "", "write CPU profiles of the product to this `folder`")
	flag.StringVar(&b.cache, "cache", defaultCache(), "`folder` of keys that are made once")
	flag.StringVar(&b.binary, "binary", "bin/postern", "the built `program`")
	flag.Parse()
	if b.quick {
		b.rounds = 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := b.all(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) all(ctx context.Context, only string) (err error) {
	var names []string
	if only != "" {
		names = strings.Split(only, ",")
	}
	for _, n := range names {
		if !slices.ContainsFunc(measurements, func(m measurement) bool { return m.name == n }) {
			return fmt.Errorf("no measurement is called %q", n)
		}
	}
	fmt.Printf("%s, %d CPUs, %s\n", runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	if b.pg, err = startCluster(ctx); err != nil {
		return fmt.Errorf("start a cluster: %w", err)
	}
	defer b.pg.stop()
	var errs []error
	for _, m := range measurements {
		if names != nil && !slices.Contains(names, m.name) {
			continue
		}
		began := time.Now()
		if err := m.run(b, ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
			fmt.Printf("\n%s could not be measured: %v\n", m.name, err)
		}
		fmt.Printf("  (measured in %s)\n", time.Since(began).Round(time.Second))
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Printf("\n%s\n", map[bool]string{true: "Every aim was met.", false: fmt.Sprintf("Aims missed: %d.", b.missed)}[b.missed == 0])
	return errors.Join(errs...)
}
