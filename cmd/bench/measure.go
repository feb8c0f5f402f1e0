package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is what something took.
type cost struct {
	wall     time.Duration
	cpu      time.Duration // our process and its children that ended
	postgres time.Duration // every process of the cluster
}

// stopwatch begins a measurement; extra are processes that are neither our
// children nor PostgreSQL, such as an agent that put itself into the background.
type stopwatch struct {
	began   time.Time
	cpu, pg time.Duration
	cluster *cluster
	extra   []int
}

func (b *bench) begin(extra ...int) stopwatch {
	runtime.GC()
	return stopwatch{began: time.Now(), cpu: ownCPU(extra), pg: b.pg.cpu(), cluster: b.pg, extra: extra}
}

func (s stopwatch) stop() cost {
	wall := time.Since(s.began)
	return cost{wall: wall, cpu: ownCPU(s.extra) - s.cpu, postgres: s.cluster.cpu() - s.pg}
}

// ownCPU is user and system time of this process, of its children that were
// waited for, and of the extra ones.
func ownCPU(extra []int) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	for _, pid := range extra {
		if s, err := readStat(pid); err == nil {
			sum += s.own + s.waited
		}
	}
	return sum
}

// procStat is what /proc/<pid>/stat says: proc(5), fields 4 and 14 to 17.
type procStat struct {
	parent      int
	own, waited time.Duration
}

// tick is USER_HZ, which is 100 on every Linux port Go has.
const tick = time.Second / 100

func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	_, after, ok := strings.Cut(string(b), ") ") // the name before may hold anything
	f := strings.Fields(after)
	if !ok || len(f) < 15 {
		return procStat{}, fmt.Errorf("/proc/%d/stat has another form", pid)
	}
	n := func(i int) time.Duration {
		v, _ := strconv.ParseInt(f[i], 10, 64)
		return time.Duration(v) * tick
	}
	parent, _ := strconv.Atoi(f[1])
	return procStat{parent: parent, own: n(11) + n(12), waited: n(13) + n(14)}, nil
}

// treeCPU is the time of a process and all its children, living and ended.
func treeCPU(root int) time.Duration {
	s, err := readStat(root)
	if err != nil {
		return 0
	}
	sum := s.own + s.waited
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if s, err := readStat(pid); err == nil && s.parent == root {
			sum += s.own + s.waited
		}
	}
	return sum
}

func median[T cmp.Ordered](list []T) T { return percentile(list, 50) }

// percentile of an unordered list, by nearest rank.
func percentile[T cmp.Ordered](list []T, p float64) T {
	if len(list) == 0 {
		var zero T
		return zero
	}
	s := slices.Sorted(slices.Values(list))
	i := int(float64(len(s))*p/100+0.5) - 1
	return s[min(max(i, 0), len(s)-1)]
}

// costs collects one contestant's rounds.
type costs []cost

func (c costs) pick(f func(cost) time.Duration) time.Duration {
	var list []time.Duration
	for _, x := range c {
		list = append(list, f(x))
	}
	return median(list)
}

func (c costs) wall() time.Duration { return c.pick(func(x cost) time.Duration { return x.wall }) }
func (c costs) cpu() time.Duration  { return c.pick(func(x cost) time.Duration { return x.cpu }) }
func (c costs) postgres() time.Duration {
	return c.pick(func(x cost) time.Duration { return x.postgres })
}

// table prints rows of equal columns under a heading.
type table struct{ rows [][]string }

func heading(text string) { fmt.Printf("\n%s\n", text) }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print() {
	var width []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for _, r := range t.rows {
		var line strings.Builder
		line.WriteString("  ")
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-len([]rune(c)))
			if i == 0 {
				line.WriteString(c + pad)
			} else {
				line.WriteString("  " + pad + c)
			}
		}
		fmt.Println(strings.TrimRight(line.String(), " "))
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

func sec(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// aim prints what was wanted beside what came.
func (b *bench) aim(what string, got, limit float64, atLeast bool, unit string) {
	met, word := got <= limit, "at most"
	if atLeast {
		met, word = got >= limit, "at least"
	}
	verdict := "met"
	if !met {
		verdict = "MISSED"
		b.missed++
	}
	fmt.Printf("  aim: %s: %.2f%s (%s %g%s): %s\n", what, got, unit, word, limit, unit, verdict)
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// profiled runs f, with a CPU profile when one was asked for.
func (b *bench) profiled(name string, f func() error) error {
	if b.profile == "" {
		return f()
	}
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(b.profile, name+".pprof"))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}
