package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// gpgLoop is what a project does today: for each recipient gpg, then a mail.
type gpgLoop struct {
	f      *fan
	dir    string // short: gpg's sockets live in it
	client string
	agent  int // pid
}

// script reads fingerprints and addresses. The message is the very entity that
// the product signs, compressed by gpg as the product compresses it.
const script = `while read -r fingerprint address; do
  { printf 'From: security@lantern.example\r\nTo: %s\r\nSubject: [...]\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n' "$address"
    gpg --homedir "$GPGHOME" --batch --quiet --no-auto-check-trustdb --trust-model always --compress-algo zip -z 6 --armor \
      --local-user "$SIGNER" --recipient "$fingerprint" --sign --encrypt --output - "$ENTITY"
  } | curl --silent --show-error --crlf --url "smtp://$SINK" --mail-from security@lantern.example --mail-rcpt "$address" --upload-file - || exit 1
done < "$LIST"
`

func newGPGLoop(ctx context.Context, f *fan) (*gpgLoop, error) {
	for _, program := range []string{"gpg", "curl", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed, and the peer needs it: %w", program, err)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "g")
	if err != nil {
		return nil, err
	}
	l := &gpgLoop{f: f, dir: dir, client: "curl"}
	if err := l.fill(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *gpgLoop) fill(ctx context.Context) error {
	var certs bytes.Buffer
	var list strings.Builder
	for _, r := range l.f.readers {
		certs.Write(r.certificate)
		fmt.Fprintf(&list, "%s %s\n", r.fingerprint, r.address)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "list"), []byte(list.String()), 0o600); err != nil {
		return err
	}
	for _, key := range [][]byte{certs.Bytes(), l.f.w.team.Bytes()} {
		cmd := l.gpg(ctx, "--import")
		cmd.Stdin = bytes.NewReader(key)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("gpg --import: %w: %s", err, out)
		}
	}
	out, err := exec.CommandContext(ctx, "gpg-connect-agent", "--homedir", l.dir, "GETINFO pid", "/bye").Output()
	if err != nil {
		return fmt.Errorf("ask gpg's agent who it is: %w", err)
	}
	_, pid, _ := strings.Cut(string(out), "D ")
	pid, _, _ = strings.Cut(pid, "\n")
	if l.agent, err = strconv.Atoi(strings.TrimSpace(pid)); err != nil {
		return fmt.Errorf("gpg's agent has the pid %q: %w", out, err)
	}
	return nil
}

func (l *gpgLoop) gpg(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "gpg", append([]string{"--homedir", l.dir, "--batch", "--quiet", "--no-auto-check-trustdb"}, args...)...)
}

// send is one round: all recipients, one after the other.
func (l *gpgLoop) send(ctx context.Context) (c cost, err error) {
	entity := filepath.Join(l.dir, "entity")
	if err := os.WriteFile(entity, l.f.frozen, 0o600); err != nil {
		return c, err
	}
	if _, err := l.f.sink.taken(); err != nil {
		return c, err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Env = append(os.Environ(), "GPGHOME="+l.dir, "SIGNER="+l.f.w.team.Certificate().Fingerprint(), "ENTITY="+entity,
		"SINK="+l.f.sink.addr, "LIST="+filepath.Join(l.dir, "list"))
	var said bytes.Buffer
	cmd.Stderr = &said
	watch := l.f.b.begin(l.agent)
	err = cmd.Run()
	c = watch.stop()
	if err != nil {
		return c, fmt.Errorf("%w: %s", err, said.String())
	}
	took, err := l.f.sink.taken()
	if err == nil && took != len(l.f.readers) {
		err = errors.Join(errWrong, fmt.Errorf("the sink took %d mails: %s", took, said.String()))
	}
	return c, err
}

func (l *gpgLoop) close() {
	_ = exec.Command("gpgconf", "--homedir", l.dir, "--kill", "all").Run()
	os.RemoveAll(l.dir)
}
