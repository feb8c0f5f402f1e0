package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/internal/smtp"
)

// inNamespace marks the run of a test in mounts of its own.
const inNamespace = "POSTERN_TEST_MOUNTS"

// ownMounts runs the test once more in a process with mounts of its own, which
// are gone with it however it ends. False: this is that process.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return false
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Getuid() != 0 || exec.Command(unshare, "--mount", "true").Run() != nil {
		t.Skip("needs root")
	}
	pgtest.Cluster(t) // skips where there is none
	cmd := exec.Command(unshare, "--mount", "--propagation", "private", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), inNamespace+"=1", "POSTERN_BINARY="+binary(t))
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
	return true
}

// disk is a small file system that can be filled.
type disk struct {
	t   *testing.T
	dir string
}

func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pd")
	must(t, err)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		_ = os.Remove(dir)
	})
	return &disk{t, dir}
}

// fill takes the last byte.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, "ballast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(d.t, err)
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else {
			must(d.t, err)
		}
	}
}

func (d *disk) free() { must(d.t, os.Remove(filepath.Join(d.dir, "ballast"))) }

// TestDataDiskFull fills the disk of database, spool and outbox to the brim
// under a running program. Each reporter is told clearly that nothing was
// stored, or has a receipt that is true; with room again all goes on by itself.
func TestDataDiskFull(t *testing.T) {
	if ownMounts(t) {
		return
	}
	d := newDisk(t, "260m")
	must(t, os.Chmod(d.dir, 0o711))
	base := filepath.Join(d.dir, "cluster")
	must(t, os.Mkdir(base, 0o711))
	c := newClusterIn(t, base)
	w := settled(t, postgrestest.NewAt(t, postgrestest.Config{}, func() (string, string, string) { return c.Owner(), c.Desk(), c.Gate() }))
	p := newPlace(t, w, "POSTERN_DATA="+filepath.Join(d.dir, "var")).start(t)
	r := newReporters(t)
	ways := []way{byAPI, byForm, byMail, toMailbox}
	for _, by := range ways {
		r.send(t.Context(), p, r.next(by), false)
	}
	for round := range 2 {
		d.fill()
		var group sync.WaitGroup
		for _, by := range ways {
			group.Go(func() {
				refused := 0
				for n := 0; refused < 4 && n < 40; n++ {
					rep := r.next(by)
					if rep.size == 0 && rep.acked+rep.refused+rep.cut == 0 {
						rep.size = []int{150 << 10, 400 << 10}[n%2] // within the memory of one request, and beyond
						if by == toMailbox {
							rep.size = 150 << 10
						}
					}
					before := rep.refused
					r.send(context.Background(), p, rep, false)
					refused += rep.refused - before
				}
				if refused < 4 {
					t.Errorf("round %d: only %d reports %s met a full disk", round, refused, by)
				}
			})
		}
		group.Wait()
		p.alive(t)
		select {
		case <-c.Done():
			t.Fatal("PostgreSQL ended")
		default:
		}
		d.free()
		began := time.Now()
		for _, by := range ways {
			r.mu.Lock()
			rep := r.fresh(by)
			r.mu.Unlock()
			eventually(t, 10*time.Second, "a report "+string(by)+" is taken with room again", func() bool {
				r.send(context.Background(), p, rep, false)
				return rep.acked > 0
			})
		}
		t.Logf("round %d: taken again by each way %s after there was room", round, time.Since(began).Round(time.Millisecond))
	}
	r.finish(p)
	r.opened(w, p)
	p.alive(t)
}

// TestOutboxOnFullDisk: what could not be kept whole is not called sent, and
// leaves nothing behind; later it is kept once.
func TestOutboxOnFullDisk(t *testing.T) {
	if ownMounts(t) {
		return
	}
	d := newDisk(t, "256k")
	box, err := smtp.NewOutbox(filepath.Join(d.dir, "outbox"))
	must(t, err)
	send := func() smtp.Outcome {
		return box.Send(t.Context(), smtp.Envelope{From: "security@lantern.example", To: "distro@linux.example", ID: "delivery-1"}, func(to io.Writer) error {
			_, err := io.WriteString(to, "Subject: [...]\r\n\r\n"+strings.Repeat("The lantern leaks.\r\n", 2000))
			return err
		}, nil)
	}
	d.fill()
	for range 3 {
		if out := send(); out.State == smtp.Sent || out.State == smtp.Rejected {
			t.Errorf("on a full disk a mail is %s (%s), want one that is tried again", out.State, out.Text)
		}
	}
	if left, err := os.ReadDir(filepath.Join(d.dir, "outbox")); err != nil || len(left) != 0 {
		t.Errorf("%d files are left over of mails that were not kept, %v", len(left), err)
	}
	d.free()
	if out := send(); out.State != smtp.Sent {
		t.Errorf("with room again the mail is %s (%s), want it kept", out.State, out.Text)
	}
	if list, err := box.List(10); err != nil || len(list) != 1 || list[0].Envelope.ID != "delivery-1" {
		t.Errorf("the outbox holds %+v, %v; want the one mail", list, err)
	}
}
