package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/vault"
)

const (
	uploads     = 20
	uploadBytes = 25 << 20 // what the policy lets one report bring
)

// uploads is the memory of the built program while twenty people send as much
// as they may at the same time, each from an address of their own: with the
// vault locked, so that the gate alone has to do with it, and unlocked, so that
// work opens what has come while the rest is coming. The vault's passphrase is
// one of little cost here: what Argon2 takes, once, is not what is measured.
func (b *bench) uploads(ctx context.Context) error {
	heading(fmt.Sprintf("Memory: %d uploads of %d MiB at the same time, to the built program", uploads, uploadBytes>>20))
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("%s is not built: run make build: %w", b.binary, err)
	}
	t := &table{}
	t.row("", "at most", "before", "all taken after", "all opened after")
	most := map[string]int64{}
	for _, body := range []struct {
		name string
		make func(*world) (upload, error)
	}{{"one armored message, API", armoredUpload}, {"JSON with a file, API", jsonUpload}, {"multipart form with a file", formUpload}} {
		for _, kind := range []struct{ name, secret string }{{"locked", ""}, {"unlocked", passphrase}} {
			got, err := b.uploadAll(ctx, body.make, kind.secret)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", body.name, kind.name, err)
			}
			opened := "-"
			if kind.secret != "" {
				opened = sec(got.opened)
			}
			t.row(body.name+", "+kind.name, mib(got.after.peak), mib(got.before.resident), sec(got.taken), opened)
			most[kind.name] = max(most[kind.name], got.after.peak)
		}
	}
	t.print()
	for _, kind := range []string{"locked", "unlocked"} {
		b.aim("memory under uploads, "+kind, float64(most[kind])/(1<<20), 128, false, " MiB")
	}
	return nil
}

// upload is a request's body.
type upload struct {
	path, media string
	body        []byte
}

func armoredUpload(w *world) (upload, error) {
	body, err := encryptedReport(w, uploadBytes-4096)
	return upload{"/api/v1/reports", "application/pgp-encrypted", body}, err
}

func jsonUpload(*world) (upload, error) {
	body, err := json.Marshal(map[string]any{"description": "The wick overflows; see the file.",
		"files": []map[string]string{{"name": "core.bin", "data": base64.StdEncoding.EncodeToString(noise(uploadBytes*3/4 - 4096))}}})
	return upload{"/api/v1/reports", "application/json", body}, err
}

func formUpload(*world) (upload, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	err := form.WriteField("description", "The wick overflows; see the file.")
	if err != nil {
		return upload{}, err
	}
	file, err := form.CreateFormFile("files", "core.bin")
	if err != nil {
		return upload{}, err
	}
	if _, err := file.Write(noise(uploadBytes - 4096)); err != nil {
		return upload{}, err
	}
	err = form.Close()
	return upload{"/report", form.FormDataContentType(), body.Bytes()}, err
}

type uploaded struct {
	before, after memory
	taken, opened time.Duration
}

func (b *bench) uploadAll(ctx context.Context, make func(*world) (upload, error), secret string) (out uploaded, err error) {
	w, err := b.world(ctx, vault.TestCost)
	if err != nil {
		return out, err
	}
	defer w.close()
	if err := publishSite(ctx, w); err != nil {
		return out, err
	}
	u, err := make(w)
	if err != nil {
		return out, err
	}
	p, err := b.launch(ctx, w, secret)
	if err != nil {
		return out, err
	}
	defer p.stop()
	if out.before, err = memoryOf(p.cmd.Process.Pid); err != nil {
		return out, err
	}
	began := time.Now()
	if err := p.sendAll(ctx, u); err != nil {
		return out, err
	}
	out.taken = time.Since(began)
	if secret != "" {
		if err := w.allOpened(ctx); err != nil {
			return out, err
		}
		out.opened = time.Since(began)
	}
	out.after, err = memoryOf(p.cmd.Process.Pid)
	return out, err
}

// sendAll sends the upload twenty times at once. Nobody sends the second half
// before everybody has sent the first: they are all under way together.
func (p *program) sendAll(ctx context.Context, u upload) error {
	var group, half sync.WaitGroup
	var failed atomic.Pointer[error]
	half.Add(uploads)
	for i := range uploads {
		group.Go(func() {
			if err := p.send(ctx, u, i, &half); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *program) send(ctx context.Context, u upload, i int, half *sync.WaitGroup) error {
	arrived := sync.OnceFunc(half.Done)
	defer arrived() // whatever goes wrong, the others go on
	second := func() { arrived(); half.Wait() }
	at := len(u.body) / 2
	body := io.MultiReader(bytes.NewReader(u.body[:at]), &pause{then: second}, bytes.NewReader(u.body[at:]))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.gate+u.path, body)
	if err != nil {
		return err
	}
	r.ContentLength = int64(len(u.body))
	r.Header.Set("Content-Type", u.media)
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
	transport := &http.Transport{DialContext: from.DialContext, DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err == nil && answer.StatusCode != http.StatusCreated {
		err = fmt.Errorf("the gate answered %s: %.200s", answer.Status, text)
	}
	return err
}

// pause is an empty part of a body that takes its time.
type pause struct{ then func() }

func (p *pause) Read([]byte) (int, error) {
	p.then()
	return 0, io.EOF
}

// allOpened waits until work has opened what came.
func (w *world) allOpened(ctx context.Context) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		waiting, _, err := w.db.WaitingArrivals(ctx)
		if err != nil || waiting == 0 {
			return err
		}
	}
	return fmt.Errorf("not everything was opened in time: %w", errWrong)
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
