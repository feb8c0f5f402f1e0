package smtp

import (
	"context"
	"errors"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	box, err := NewOutbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := Envelope{From: "bounce+1@lantern.example", To: "one@distro.example", ID: "d-1"}
	if out := box.Send(t.Context(), e, write(message), agree); out.State != Sent {
		t.Fatalf("Send = %+v", out)
	}
	kept, err := box.List(10)
	if err != nil || len(kept) != 1 {
		t.Fatalf("List = %v, %v; want one mail", kept, err)
	}
	k, data, err := box.Read(kept[0].Name)
	if err != nil || string(data) != message {
		t.Errorf("Read = %q, %v; want the message as it was", data, err)
	}
	if diff := cmp.Diff(e, k.Envelope); diff != "" || k.Size != int64(len(message)) {
		t.Errorf("Read: %d bytes, want %d; envelope (-want +got):\n%s", k.Size, len(message), diff)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v; want mode 0700", info.Mode(), err)
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, _ := d.Info()
		if info.Mode().Perm() != 0o600 || strings.Contains(path, "distro") {
			t.Errorf("file %s has mode %v; want 0600 and a name without meaning", path, info.Mode())
		}
		b, err := os.Open(path)
		if err != nil {
			return err
		}
		defer b.Close()
		if m, err := mail.ReadMessage(b); err != nil || m.Header.Get("Subject") != "[...]" {
			t.Errorf("the file does not open as a mail: %v", err)
		}
		return nil
	})

	no := errors.New("no")
	if out := box.Send(t.Context(), e, write(message), func(context.Context) error { return no }); out.State != Canceled {
		t.Errorf("Send with confirm saying no = %+v, want canceled", out)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("after a canceled mail the folder holds %d files, want 1", len(names))
	}

	for _, name := range []string{"../outbox_test.go", "x", kept[0].Name + "x", "/etc/passwd", ""} {
		if _, _, err := box.Read(name); !errors.Is(err, ErrNoMail) {
			t.Errorf("Read(%q) = %v, want ErrNoMail", name, err)
		}
		if err := box.Remove(name); !errors.Is(err, ErrNoMail) {
			t.Errorf("Remove(%q) = %v, want ErrNoMail", name, err)
		}
	}
	if err := box.Remove(kept[0].Name); err != nil {
		t.Errorf("Remove = %v", err)
	}
	if kept, err := box.List(10); err != nil || len(kept) != 0 {
		t.Errorf("List after Remove = %v, %v; want none", kept, err)
	}
}

func TestOutboxLists(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	box, err := NewOutbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("an open folder was left %v, want 0700", info.Mode())
	}
	os.WriteFile(filepath.Join(dir, "README"), []byte("not ours"), 0o600)
	for range 5 {
		box.Send(t.Context(), to("a@b.example"), write(message), nil)
	}
	if kept, err := box.List(3); err != nil || len(kept) != 3 {
		t.Errorf("List(3) = %d mails, %v; want 3", len(kept), err)
	}
	if kept, err := box.List(100); err != nil || len(kept) != 5 {
		t.Errorf("List(100) = %d mails, %v; want 5", len(kept), err)
	}
}
