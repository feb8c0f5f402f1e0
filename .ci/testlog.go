//go:build ignore

// Testlog reads `go test -json` from standard input, prints what a person
// needs of it, and fails when a test failed or was skipped for a reason that
// is not listed in .ci/skips.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	listed := map[string]bool{}
	reasons, err := os.ReadFile(".ci/skips")
	if err != nil {
		fmt.Println("read the listed reasons:", err)
		os.Exit(2)
	}
	for _, l := range strings.Split(string(reasons), "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			listed[l] = true
		}
	}
	output := map[string][]string{}
	var passed, failed, skipped int
	bad := false
	var slow []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "build-fail":
			bad = true
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok   %s %.1fs\n", e.Package, e.Elapsed)
			} else {
				passed++
				if e.Elapsed > 20 {
					slow = append(slow, fmt.Sprintf("%6.1fs %s %s", e.Elapsed, e.Package, e.Test))
				}
			}
			delete(output, key)
		case "fail":
			bad = true
			if e.Test != "" {
				failed++
			}
			fmt.Printf("FAIL %s %s %.1fs\n%s", e.Package, e.Test, e.Elapsed, strings.Join(output[key], ""))
			delete(output, key)
		case "skip":
			if e.Test == "" {
				continue // a package without tests
			}
			skipped++
			reason := "no reason given"
			for _, o := range output[key] {
				o = strings.TrimSpace(o)
				if strings.HasPrefix(o, "---") || strings.HasPrefix(o, "===") || o == "" {
					continue
				}
				if _, after, ok := strings.Cut(o, ": "); ok && strings.Contains(o, ".go:") {
					reason = after
				}
			}
			if !listed[reason] {
				bad = true
				fmt.Printf("SKIP %s %s: %q is not a listed reason\n", e.Package, e.Test, reason)
			} else {
				fmt.Printf("skip %s %s: %s\n", e.Package, e.Test, reason)
			}
			delete(output, key)
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(slow)))
	for _, s := range slow {
		fmt.Println("slow", s)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if bad || in.Err() != nil || passed == 0 {
		os.Exit(1)
	}
}
