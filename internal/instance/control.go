package instance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// ErrNotRunning: no process answers on the control socket.
var ErrNotRunning = errors.New("no running Postern answers")

// socketPath is where commands find the process that runs on a data folder: in
// a folder only its own user can enter. A path too long for a socket gives way
// to a folder of temporary files.
func socketPath(data string) string {
	data, _ = filepath.Abs(data)
	path := filepath.Join(data, "control", "socket")
	if len(path) <= 100 {
		return path
	}
	sum := sha256.Sum256([]byte(data))
	return filepath.Join(os.TempDir(), fmt.Sprintf("postern-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8])), "socket")
}

// openControl listens for commands. Who can enter the folder may give them.
func (in *Instance) openControl(run context.Context) error {
	if in.Commands == nil {
		return nil
	}
	path := socketPath(in.c.Data)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the control socket's folder: %w", err)
	}
	// Somebody else may have made the folder first, where temporary files lie.
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !ownedByUs(info) {
		return fmt.Errorf("the control socket's folder %s is not ours", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs the x bit
		return fmt.Errorf("close the control socket's folder: %w", err)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return fmt.Errorf("another Postern runs on %s", in.c.Data)
	}
	_ = os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("close the control socket to others: %w", err), l.Close())
	}
	s := &http.Server{Handler: http.HandlerFunc(in.control), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
	in.http = append(in.http, s)
	in.running.Go(func() { _ = s.Serve(l) })
	return nil
}

// reply travels back over the socket.
type reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
	Kind   string          `json:"kind,omitempty"` // of an error a caller acts on
}

// maxCommand bounds what a command carries: a policy, a key.
const maxCommand = 1 << 20

func (in *Instance) control(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCommand))
	var out any
	if err == nil {
		out, err = in.Commands.do(r.Context(), name, body)
	}
	var answer reply
	if err == nil {
		answer.Result, err = json.Marshal(out)
	}
	if err != nil {
		answer = failure(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
	in.c.Log.Info("a command came over the control socket", "command", name, "done", err == nil)
}

var kinds = map[string]error{
	"locked": vault.ErrLocked, "wrong": vault.ErrWrongSecret, "not-found": disclosure.ErrNotFound, "held": disclosure.ErrHeld,
}

func failure(err error) reply {
	a := reply{Error: err.Error()}
	for kind, known := range kinds {
		if errors.Is(err, known) {
			a.Kind = kind
		}
	}
	return a
}

// remoteError is what the running process answered.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// Ask gives a command to the process that runs on the data folder.
// ErrNotRunning when there is none.
func Ask(ctx context.Context, data, name string, args, result any) error {
	path := socketPath(data)
	// What is asked may be a passphrase: nobody else may have made the socket.
	dir, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return ErrNotRunning
	}
	// Root asks a service of another user, in that service's own data folder.
	root := os.Getuid() == 0 && !strings.HasPrefix(path, os.TempDir())
	if !dir.IsDir() || !ownedByUs(dir) && !root || dir.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the control socket's folder %s is not ours alone", filepath.Dir(path))
	}
	if s, err := os.Lstat(path); err != nil {
		return ErrNotRunning
	} else if s.Mode().Type() != os.ModeSocket || !ownedByUs(s) && !root {
		return fmt.Errorf("the control socket %s is not ours", path)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("write the arguments of %s: %w", name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern/"+name, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("ask the running Postern: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return ErrNotRunning
		}
		return fmt.Errorf("ask the running Postern: %w", err)
	}
	defer resp.Body.Close()
	var answer reply
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the running Postern's answer: %w", err)
	}
	if answer.Error != "" {
		return &remoteError{answer.Error, kinds[answer.Kind]}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}
