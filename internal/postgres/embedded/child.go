package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is the postmaster as a process.
type child struct {
	pid  int
	cmd  *exec.Cmd
	done chan struct{} // closed after the process was reaped
	err  error         // of Wait; read after done
	tail *tail
}

// spawn starts the server and watches it. The signal that a parent's death sends follows the thread that forked, not the process
// (prctl(2), PR_SET_PDEATHSIG), so one goroutine keeps that thread for as long as the child lives.
func spawn(cmd *exec.Cmd, lock *os.File, log func(string)) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{}), tail: &tail{}}
	cmd.ExtraFiles = []*os.File{lock}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		in.Close()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		out.Close()
		return nil, err
	}
	c.pid = cmd.Process.Pid
	go c.tail.follow(out, log)
	return c, nil
}

// end asks for a fast shutdown, then an immediate one, then kills. It returns nil when the first sufficed.
func (c *child) end() error {
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, quickStop}, {syscall.SIGKILL, quickStop}}
	for i, s := range steps {
		if err := c.cmd.Process.Signal(s.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-c.done:
			if i > 0 {
				return fmt.Errorf("PostgreSQL had to be stopped with %v; it recovers at the next start", s.signal)
			}
			return nil
		case <-time.After(s.wait):
		}
	}
	return errors.New("PostgreSQL does not end, not even killed")
}

// tail keeps the last lines the server wrote.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) follow(r io.ReadCloser, log func(string)) {
	defer r.Close()
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := s.Text()
		t.mu.Lock()
		t.lines = append(t.lines, line)
		if len(t.lines) > 20 {
			t.lines = t.lines[1:]
		}
		t.mu.Unlock()
		if strings.Contains(line, "PANIC") {
			log("PostgreSQL: " + line)
		}
	}
	io.Copy(io.Discard, r) // a line beyond the scanner's limit must not stop the server
}

func (t *tail) text() string {
	time.Sleep(20 * time.Millisecond) // the last words of a server that has just ended may still be in the pipe
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return "it wrote nothing"
	}
	return strings.Join(t.lines, "; ")
}
