package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"postern/internal/smtp"
)

// sinkCommand makes this program an SMTP server that counts and forgets, in a
// process of its own, so that its time is nobody's.
const sinkCommand = "as-sink"

// runSink tells its address, and answers each line it reads with how many
// mails it took since the line before.
func runSink() {
	s, err := smtp.NewSink(smtp.SinkConfig{Discard: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		n := len(s.Messages())
		s.Reset()
		fmt.Println(n)
	}
	s.Close()
}

type sink struct {
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func startSink(ctx context.Context) (*sink, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &sink{cmd: exec.CommandContext(ctx, self, sinkCommand)}
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a sink: %w", err)
	}
	s.out = bufio.NewScanner(out)
	if !s.out.Scan() {
		s.stop()
		return nil, fmt.Errorf("start a sink: it said nothing: %w", s.out.Err())
	}
	s.addr = s.out.Text()
	return s, nil
}

// taken is how many mails came since it was asked last.
func (s *sink) taken() (int, error) {
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		return 0, err
	}
	if !s.out.Scan() {
		return 0, fmt.Errorf("the sink said nothing: %w", s.out.Err())
	}
	return strconv.Atoi(strings.TrimSpace(s.out.Text()))
}

// stop ends it. Its time is counted among our children's only from now on.
func (s *sink) stop() {
	s.in.Close()
	_ = s.cmd.Wait()
}
