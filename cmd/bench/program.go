package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is the built program, running beside us on a world's database.
type program struct {
	cmd   *exec.Cmd
	gate  string // host:port
	took  time.Duration
	dir   string
	said  bytes.Buffer // good after ended
	ended chan error
}

// launch starts the program and waits for the gate's first page; secret, when
// given, unlocks the vault.
func (b *bench) launch(ctx context.Context, w *world, secret string) (p *program, err error) {
	p = &program{ended: make(chan error, 1)}
	if p.dir, err = os.MkdirTemp(b.pg.dir, "data-"); err != nil {
		return nil, err
	}
	if p.gate, err = freeAddress(); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, binary, "serve")
	p.cmd.Env = append(cleanEnv(), "POSTERN_DATA="+filepath.Join(p.dir, "var"), "POSTERN_DATABASE_URL="+w.deskURL, "POSTERN_GATE_DATABASE_URL="+w.gateURL,
		"POSTERN_GATE_ADDR="+p.gate, "POSTERN_DESK_ADDR=127.0.0.1:0", "POSTERN_MAIL_ADDR=127.0.0.1:0")
	if secret != "" {
		file := filepath.Join(p.dir, "passphrase")
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			return nil, err
		}
		p.cmd.Env = append(p.cmd.Env, "POSTERN_PASSPHRASE_FILE="+file)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	if p.took, err = firstPage(ctx, "http://"+p.gate+"/", began, p.ended); err != nil {
		p.stop()
		return nil, fmt.Errorf("%w; it said: %s", err, strings.TrimSpace(p.said.String()))
	}
	return p, nil
}

func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	os.RemoveAll(p.dir)
}

// cleanEnv leaves our own settings out.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "POSTERN_") && !strings.HasPrefix(v, "PG") {
			env = append(env, v)
		}
	}
	return env
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// firstPage asks again and again until the policy's page comes whole.
func firstPage(ctx context.Context, url string, began time.Time, ended chan error) (time.Duration, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for time.Since(began) < 20*time.Second && ctx.Err() == nil {
		answer, err := client.Get(url)
		if err == nil {
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err == nil && answer.StatusCode == http.StatusOK && bytes.Contains(body, []byte("Lantern")) {
				return time.Since(began), nil
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return 0, fmt.Errorf("the program ended: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
	return 0, errors.Join(errors.New("no page came"), ctx.Err())
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// memory of a process, in bytes; peak is the most it ever had resident.
type memory struct{ resident, private, peak int64 }

// memoryOf reads proc(5): status and smaps_rollup.
func memoryOf(pid int) (m memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m, err
	}
	read := func(b []byte, name string) int64 {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				return n << 10
			}
		}
		return 0
	}
	m.resident, m.peak = read(status, "VmRSS"), read(status, "VmHWM")
	m.private = read(smaps, "Private_Clean") + read(smaps, "Private_Dirty")
	return m, nil
}
