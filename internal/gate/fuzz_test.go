package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"postern/internal/disclosure"
	"postern/web/public"
)

func fuzzGate(t testing.TB) (*Gate, *set, *intake) {
	g := New(Config{Spool: t.TempDir()})
	s := &set{file: &disclosure.GateFile{Policy: &disclosure.Policy{Intake: disclosure.Intake{MaxBytes: 1 << 16, Asks: []string{"public"}}}}, retired: map[uint64]bool{}}
	in, err := g.begin(context.WithValue(t.Context(), addressKey{}, "a"), s, disclosure.ArrivalReport, disclosure.ByAPI)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.close)
	return g, s, in
}

const fuzzSecret = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxVgEZQ==\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----\n"

// FuzzReportJSON: whatever the body, it is taken, refused with words, or found
// to hold a private key; what is taken can be read again when it is opened.
func FuzzReportJSON(f *testing.F) {
	for _, s := range []string{
		`{"description":"It leaks."}`, `{"description":"x","files":[{"name":"a","data":"YQ=="}],"answers":{"public":"no"}}`,
		`{"description":"x","credit":"maybe","key":"x","address":"a@b@c"}`, `{"Description":"x"}`, `{"description":1}`, `[]`, `null`, `{`, ``,
		`{"description":"x"} x`, `{"description":"\ud800"}`, "{\"description\":\"\xff\"}", `{"description":"x","description":""}`,
		`{"description":"` + strings.ReplaceAll(fuzzSecret, "\n", `\n`) + `"}`, fuzzSecret, strings.Repeat(`{"answers":`, 50), `{"files":[{"data":"***"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, in := fuzzGate(t)
		if _, err := in.body.Write(b); err != nil {
			t.Fatal(err)
		}
		err := in.judgeJSON()
		var refusal *disclosure.Refusal
		switch {
		case err == nil:
			if r, err := disclosure.ParseReportJSON(b); err != nil || strings.TrimSpace(r.Description) == "" {
				t.Errorf("%q is taken and cannot be read again: %v", b, err)
			}
			if holdsSecret(string(b)) {
				t.Errorf("%q is taken and holds a private key", b)
			}
		case errors.As(err, &refusal):
			for _, fault := range refusal.Faults {
				if fault.Text == "" {
					t.Errorf("%q is refused without a word", b)
				}
			}
		case !errors.Is(err, errSecret):
			t.Errorf("%q fails with %v", b, err)
		}
	})
}

// FuzzReportForm: however a form is cut and mangled, what is taken fits the
// limits and its list of parts, and a private key is never shown again.
func FuzzReportForm(f *testing.F) {
	part := func(name, file, body string) string {
		if file != "" {
			file = `; filename="` + file + `"`
		}
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"" + file + "\r\n\r\n" + body + "\r\n"
	}
	const multi = "multipart/form-data; boundary=b"
	f.Add(multi, []byte(part("description", "", "It leaks.")+part("files", "a.txt", "bytes")+"--b--\r\n"))
	f.Add(multi, []byte(part("description", "", fuzzSecret)+"--b--\r\n"))
	f.Add(multi, []byte(part("armored", "", "-----BEGIN PGP MESSAGE-----\r\n\r\nxx\r\n-----END PGP MESSAGE-----")+"--b--\r\n"))
	f.Add(multi, []byte(part("own_key", "", "x")+part("address", "", "a b")))
	f.Add(multi, []byte(strings.Repeat(part("x", "", "v"), 250)+"--b--\r\n"))
	f.Add(multi, []byte(part("files", "../../x\x00", strings.Repeat("x", 70_000))+"--b--\r\n"))
	f.Add("multipart/form-data", []byte("x"))
	f.Add("application/x-www-form-urlencoded", []byte("description=It+leaks&ask_public=no&key=1"))
	f.Add("application/x-www-form-urlencoded", []byte("description=%zz;&=&"))
	f.Add("", []byte(""))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		g, s, in := fuzzGate(t)
		r, err := http.NewRequest(http.MethodPost, "/report", io.NopCloser(strings.NewReader(string(body))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		fields := &form{in: in, values: map[string]string{}}
		err = fields.read(r)
		if fields.secret() {
			return // refuseSecret shows an empty form
		}
		if limit := s.policy().Intake.MaxBytes; in.body.Size() > limit+1 {
			t.Errorf("%d bytes are kept, allowed are %d", in.body.Size(), limit)
		}
		if err != nil {
			if _, ok := g.formProblem(s, fields, err); !ok {
				t.Errorf("reading fails with %v, for which there is no answer", err)
			}
			return
		}
		var sum int64
		for _, p := range in.header.Parts {
			sum += p.Size
		}
		if sum != in.body.Size() {
			t.Errorf("the parts have %d bytes, the body %d", sum, in.body.Size())
		}
		j, faults := fields.judge(s)
		if len(faults) == 0 && j.kind == "" {
			t.Error("neither taken nor refused")
		}
		if text := fields.get(public.FieldDescription); len(faults) == 0 && fields.armored == nil && strings.TrimSpace(text) == "" {
			t.Error("an empty description is taken")
		}
	})
}
