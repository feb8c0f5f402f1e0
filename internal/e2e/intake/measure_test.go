package intake

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/smtp"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
)

// What one input may cost the process, taken or opened. Judging one message is
// cut off at 2 s (pgp.Limits.Time). The largest that is encrypted and packed is
// opened a second time and stored as well, which has half as much again here.
const (
	mostHeap  = 64 << 20
	mostTime  = 2 * time.Second
	mostStore = 3 * time.Second
)

// cost is what something took: the heap at its highest above where it began,
// garbage not yet swept included, and the processor's time of this process.
type cost struct {
	heap int64
	cpu  time.Duration
	wall time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%d MiB of heap, %s of processor, %s", c.heap>>20, c.cpu.Round(time.Millisecond), c.wall.Round(time.Millisecond))
}

func measure(t testing.TB, f func()) (c cost) {
	t.Helper()
	heap := func() int64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return int64(s[0].Value.Uint64())
	}
	cpu := func() time.Duration {
		var u syscall.Rusage
		must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.GC()
	before, used, began := heap(), cpu(), time.Now()
	peak, stop, stopped := before, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				peak = max(peak, heap())
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return cost{heap: max(peak, heap()) - before, cpu: cpu() - used, wall: time.Since(began)}
}

// postFile sends a mail from a file: the sender's memory is not what is measured.
func (w *team) postFile(name string) {
	w.t.Helper()
	c, err := smtp.Dial(w.at)
	must(w.t, err)
	must(w.t, c.Mail("finn@finder.example"))
	must(w.t, c.Rcpt(address))
	d, err := c.Data()
	must(w.t, err)
	f, err := os.Open(name)
	must(w.t, err)
	defer f.Close()
	_, err = io.Copy(d, f)
	must(w.t, err)
	must(w.t, d.Close())
	must(w.t, c.Quit())
}

// TestWorstInputs takes and opens what costs most, and says what the worst
// costs. In full with POSTERN_SOAK=1: 25 MiB each. Else 1 MiB, and only what
// stands for the ways an input can be read.
func TestWorstInputs(t *testing.T) {
	w := newTeam(t, world.Config{})
	dir := t.TempDir()
	full, soak := 1<<20, os.Getenv("POSTERN_SOAK") != ""
	longText := "" // up to mail.Limits.Held a text is shown, beyond it is a file as well
	if soak {
		full, longText = 25<<20, "text.txt"
	}
	random := func(n int) []byte { // does not compress
		b := make([]byte, n)
		for i, x := 0, uint32(1); i < n; i++ {
			x = x*1664525 + 1013904223
			b[i] = byte(x >> 24)
		}
		return b
	}
	alice := person(t, w.DB.Now(), "Alice", "alice@finder.example")
	file := func(name string, n int) string {
		var b strings.Builder
		b.WriteString("Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n")
		e := base64.StdEncoding.EncodeToString(random(n))
		for len(e) > 76 {
			b.WriteString(e[:76] + "\n")
			e = e[76:]
		}
		b.WriteString(e + "\n")
		return b.String()
	}
	inner := func(parts ...string) []byte {
		return crlf("Content-Type: multipart/mixed; boundary=\"=_i\"\n\n" + body("=_i", parts...))
	}
	finn := "finn@finder.example"
	aliceKey := part("application/pgp-keys", string(alice.Certificate().Armored()))
	texts := func(n, size int) (parts []string) {
		for range n {
			parts = append(parts, part("text/plain", strings.Repeat("0123456789 words words words\n", max(size*full/(25<<20), 2000)/29)))
		}
		return parts
	}
	for _, x := range []struct {
		name string
		raw  func() []byte
		want outcome
	}{
		{"a small mail", func() []byte { return plain(finn, "x", secret) }, outcome{text: secret}},
		{"encrypted, a file in base64", func() []byte {
			return pgpMIME(finn, "...", w.encrypt(inner(part("text/plain", secret), file("a.bin", full/100*72)), nil))
		}, outcome{encryption: disclosure.ToCurrentKey, text: secret, file: "a.bin"}},
		{"encrypted and signed by a key inside", func() []byte {
			return pgpMIME(finn, "...", w.encrypt(inner(part("text/plain", secret), aliceKey, file("a.bin", full/100*72)), alice))
		}, outcome{encryption: disclosure.ToCurrentKey, signature: disclosure.SignedUnknown, text: secret, file: "a.bin"}},
		{"inline armor", func() []byte {
			return plain(finn, "...", string(w.encrypt([]byte(secret+base64.StdEncoding.EncodeToString(random(full/100*72))), nil)))
		}, outcome{encryption: disclosure.ToCurrentKey, text: secret, file: longText}},
		{"an encrypted file", func() []byte {
			return multipart(finn, "...", "multipart/mixed", part("text/plain", secret), "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"a.bin.asc\"\n\n"+string(w.encrypt(random(full/100*70), nil)))
		}, outcome{text: secret, file: "a.bin"}},
		{"unpacks to much", func() []byte {
			text := strings.Repeat("all work and no play\n", full*5/2/21)
			return pgpMIME(finn, "...", armor(t, "PGP MESSAGE", joined(pkesk(t, w.Cert, false), seipd(t, joined(deflated(t, words(text)), pkt(60, random(400<<10)))))))
		}, outcome{}},
		{"a file", func() []byte {
			return multipart(finn, "x", "multipart/mixed", part("text/plain", secret), file("a.bin", full/100*72))
		}, outcome{text: secret, file: "a.bin"}},
		{"a long text", func() []byte {
			return plain(finn, "x", secret+"\n"+strings.Repeat("0123456789 words words words\n", full/30))
		}, outcome{text: secret, file: longText}},
		{"many long texts", func() []byte { return multipart(finn, "x", "multipart/mixed", texts(48, 500<<10)...) }, outcome{text: "words words"}},
		{"long HTML", func() []byte {
			return crlf(head(finn, "x") + "Content-Type: text/html\n\n" + strings.Repeat("<a href=http://x.example/>x</a>\n", full/33))
		}, outcome{}},
		{"100,000 parts", func() []byte {
			return crlf(head(finn, "x") + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 100_000))
		}, outcome{attention: "more parts"}},
		{"heads of armor", func() []byte { return plain(finn, "x", strings.Repeat("-----BEGIN PGP MESSAGE-----\n", full/30)) }, outcome{}},
		{"base64 in base64", func() []byte {
			b := []byte(file("a.bin", full/2))
			for range 3 {
				b = []byte("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n" + wrapped(append([]byte("--b\n"), b[:len(b)*7/10]...)))
			}
			return crlf(head(finn, "x") + string(b))
		}, outcome{}},
	} {
		if !soak && !strings.HasPrefix(x.name, "encrypted") && x.name != "inline armor" {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			name := filepath.Join(dir, "mail")
			raw := x.raw()
			must(t, os.WriteFile(name, raw, 0o600))
			size := len(raw)
			raw = nil
			taken := measure(t, func() { w.postFile(name) })
			opened := measure(t, func() { w.Settle() })
			x.want.check(t, w, w.newest())
			t.Logf("%d MiB: taken with %s; opened with %s", size>>20, taken, opened)
			for _, x := range []struct {
				what string
				cost
				time time.Duration
			}{{"taking", taken, mostTime}, {"opening", opened, mostStore}} {
				if x.heap > mostHeap || x.cpu > x.time*slack {
					t.Errorf("%s it cost %s, want %d MiB and %s at most", x.what, x.cost, mostHeap>>20, x.time)
				}
			}
		})
	}
}
