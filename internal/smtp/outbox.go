package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Outbox keeps mail as files when there is no relay; nothing leaves the machine. It implements Sender: what it took is Sent.
//
// A file holds the message, before it the envelope as three header fields, so that any mail program opens it. Files are 0600 in a folder
// of 0700, and their names say nothing.
type Outbox struct {
	dir string
}

var _ Sender = (*Outbox)(nil)

// ErrNoMail is returned for a name that is not in the outbox.
var ErrNoMail = errors.New("no such mail in the outbox")

// NewOutbox opens the folder, making it when absent, closing it to others when it was open, and clearing away unfinished files.
func NewOutbox(dir string) (*Outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the outbox: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("close the outbox to others: %w", err)
	}
	o := &Outbox{dir: dir}
	unfinished, _ := filepath.Glob(filepath.Join(dir, "*"+unfinishedSuffix))
	for _, path := range unfinished {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour { // another process may be writing
			os.Remove(path)
		}
	}
	return o, nil
}

const (
	mailSuffix       = ".eml"
	unfinishedSuffix = ".new"
)

var mailName = regexp.MustCompile(`^[a-z2-7]{26}\.eml$`)

// Send implements Sender: the file appears whole, under its name, after confirm agreed.
func (o *Outbox) Send(ctx context.Context, e Envelope, body func(io.Writer) error, confirm func(context.Context) error) Outcome {
	if err := e.Check(); err != nil {
		return Outcome{State: Rejected, Text: oneLine(err.Error()), Err: err}
	}
	random := make([]byte, 16)
	rand.Read(random)
	name := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
	path := filepath.Join(o.dir, name+unfinishedSuffix)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return lost("keep the mail", err)
	}
	defer os.Remove(path) // gone by then when all went well
	defer f.Close()

	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "X-Envelope-From: %s\r\nX-Envelope-To: %s\r\nX-Envelope-Id: %s\r\n", e.From, e.To, e.ID)
	strict := &strictWriter{w: w}
	err = body(strict)
	if err == nil {
		err = strict.end()
	}
	if err != nil && strict.lost == nil {
		return canceled(err)
	}
	if err := errors.Join(strict.lost, w.Flush(), f.Sync()); err != nil {
		return lost("keep the mail", err)
	}
	if confirm != nil {
		if err := confirm(ctx); err != nil {
			return canceled(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return lost("keep the mail", context.Cause(ctx))
	}
	if err := os.Rename(path, filepath.Join(o.dir, name+mailSuffix)); err != nil {
		return lost("keep the mail", err)
	}
	syncDir(o.dir)
	return Outcome{State: Sent, Code: 250, Text: "kept in the outbox"}
}

func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}

// Kept is one mail in the outbox.
type Kept struct {
	Name     string // for Read and Remove
	Envelope Envelope
	At       time.Time
	Size     int64 // of the message in bytes
}

// List returns the newest mails, at most limit of them, the newest first.
func (o *Outbox) List(limit int) ([]Kept, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, fmt.Errorf("list the outbox: %w", err)
	}
	type file struct {
		name string
		info fs.FileInfo
	}
	var files []file
	for _, e := range entries {
		if !mailName.MatchString(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil {
			files = append(files, file{e.Name(), info})
		}
	}
	sort.Slice(files, func(i, j int) bool {
		a, b := files[i], files[j]
		if !a.info.ModTime().Equal(b.info.ModTime()) {
			return a.info.ModTime().After(b.info.ModTime())
		}
		return a.name < b.name
	})
	if len(files) > limit {
		files = files[:limit]
	}
	var kept []Kept
	for _, f := range files {
		k, _, err := o.open(f.name, false)
		if errors.Is(err, ErrNoMail) { // removed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		kept = append(kept, k)
	}
	return kept, nil
}

// Read returns one mail and its message, byte for byte as it was sent.
func (o *Outbox) Read(name string) (Kept, []byte, error) { return o.open(name, true) }

// Remove deletes one mail.
func (o *Outbox) Remove(name string) error {
	if !mailName.MatchString(name) {
		return ErrNoMail
	}
	err := os.Remove(filepath.Join(o.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoMail
	}
	if err != nil {
		return fmt.Errorf("remove a mail from the outbox: %w", err)
	}
	return nil
}

func (o *Outbox) open(name string, whole bool) (Kept, []byte, error) {
	if !mailName.MatchString(name) {
		return Kept{}, nil, ErrNoMail
	}
	f, err := os.Open(filepath.Join(o.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return Kept{}, nil, ErrNoMail
	}
	if err != nil {
		return Kept{}, nil, fmt.Errorf("read a mail of the outbox: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Kept{}, nil, fmt.Errorf("read a mail of the outbox: %w", err)
	}
	k := Kept{Name: name, At: info.ModTime(), Size: info.Size()}
	r := bufio.NewReader(f)
	for _, field := range []struct {
		name string
		into *string
	}{{"X-Envelope-From:", &k.Envelope.From}, {"X-Envelope-To:", &k.Envelope.To}, {"X-Envelope-Id:", &k.Envelope.ID}} {
		line, err := r.ReadString('\n')
		value, ok := strings.CutPrefix(line, field.name)
		if err != nil || !ok {
			return Kept{}, nil, fmt.Errorf("read a mail of the outbox: %s was not written by this program", name)
		}
		*field.into = strings.TrimSpace(value)
		k.Size -= int64(len(line))
	}
	if !whole {
		return k, nil, nil
	}
	var message bytes.Buffer
	if _, err := r.WriteTo(&message); err != nil {
		return Kept{}, nil, fmt.Errorf("read a mail of the outbox: %w", err)
	}
	return k, message.Bytes(), nil
}
