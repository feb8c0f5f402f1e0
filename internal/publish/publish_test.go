package publish

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
	"postern/internal/pgp"
)

var at = time.Date(2026, 2, 3, 15, 0, 0, 0, time.UTC)

func edition(t *testing.T) (disclosure.Edition, *pgp.Secret) {
	t.Helper()
	team, _, err := pgp.NewTeam("Lantern security team", "security@lantern.example", at.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	p := &disclosure.Policy{Version: 1, ID: "test", Project: disclosure.Project{Name: "Lantern", Prefix: "LANTERN", Language: "en"},
		Contact: disclosure.Contact{Address: "security@lantern.example", Readers: "the five members of the security team"},
		Ack:     disclosure.Ack{Within: disclosure.Span{Hours: 48}, By: "member"}}
	return disclosure.Edition{Number: 1, At: at, Policy: p, URL: "https://gate.lantern.example", Certificate: team.Certificate().Binary(), Instance: "i",
		Advisories: []disclosure.Advisory{{Name: "LANTERN-2026-k7qd", Version: 1, Published: at, Updated: at, Project: p.Project,
			Issue: disclosure.Issue{PublicName: "LANTERN-2026-k7qd", CVE: "CVE-2026-12345",
				Text: disclosure.Text{Title: "Wick <overflow> & more", Summary: "A *crafted* wick.", Description: "See <script>x</script> here."}}}}}, team
}

func renderer(team *pgp.Secret) Renderer {
	return Renderer{Version: "test", Sign: func(text []byte, now time.Time) ([]byte, error) { return pgp.ClearSign(text, team, now) }}
}

func byPath(docs []disclosure.Document) map[string]disclosure.Document {
	m := map[string]disclosure.Document{}
	for _, d := range docs {
		m[d.Path] = d
	}
	return m
}

func TestRender(t *testing.T) {
	e, team := edition(t)
	docs, err := renderer(team).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	m := byPath(docs)
	for _, path := range []string{"/", "/upcoming", "/advisories", "/advisories/LANTERN-2026-k7qd", "/feed.atom", "/key.asc", SecurityTxtPath, "gate.json", "/static/public.css"} {
		if len(m[path].Bytes) == 0 || m[path].Type == "" {
			t.Errorf("Render made no %s, or one without a type", path)
		}
	}
	page := string(m["/advisories/LANTERN-2026-k7qd"].Bytes)
	if strings.Contains(page, "<script>x") || !strings.Contains(page, "Wick &lt;overflow&gt; &amp; more") || !strings.Contains(page, "<em>crafted</em>") {
		t.Errorf("the advisory's page does not hold its text escaped and its summary rendered:\n%s", page)
	}
	var feed struct {
		Entries []struct {
			Title string `xml:"title"`
			ID    string `xml:"id"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(m["/feed.atom"].Bytes, &feed); err != nil || len(feed.Entries) != 1 || feed.Entries[0].Title != "CVE-2026-12345: Wick <overflow> & more" {
		t.Errorf("feed = %+v, %v", feed, err)
	}
}

// TestRenderIsStable: the same edition renders to the same bytes, except what
// is signed, so that nothing public changes because somebody rendered again.
func TestRenderIsStable(t *testing.T) {
	e, team := edition(t)
	one, err := renderer(team).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	e.Number, e.At = 2, at.Add(30*24*time.Hour)
	two, err := renderer(team).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	a, b := byPath(one), byPath(two)
	for path, d := range a {
		if !d.Signed && string(d.Bytes) != string(b[path].Bytes) {
			t.Errorf("%s changed by rendering it again:\n%s", path, cmp.Diff(string(d.Bytes), string(b[path].Bytes)))
		}
	}
}

// TestSecurityTxtStays: a later edition leaves the stored file alone until it
// is to be renewed, says something else, or another key is ours.
func TestSecurityTxtStays(t *testing.T) {
	e, team := edition(t)
	docs, err := renderer(team).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	stored := byPath(docs)[SecurityTxtPath]
	e.Signed = map[string]disclosure.Document{SecurityTxtPath: stored}
	other, _, err := pgp.NewTeam("Another", "security@lantern.example", at.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*disclosure.Edition)
		signer *pgp.Secret
		stays  bool
	}{
		{"the next day", func(e *disclosure.Edition) { e.At = at.Add(24 * time.Hour) }, team, true},
		{"when it is due", func(e *disclosure.Edition) { e.At = stored.Renew }, team, false},
		{"with another address", func(e *disclosure.Edition) { e.URL = "https://other.example" }, team, false},
		{"with another key", func(e *disclosure.Edition) { e.Certificate = other.Certificate().Binary() }, other, false},
		{"with nothing stored", func(e *disclosure.Edition) { e.Signed = nil }, team, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := e
			tt.change(&e)
			docs, err := renderer(tt.signer).Render(e)
			if err != nil {
				t.Fatal(err)
			}
			d := byPath(docs)[SecurityTxtPath]
			if stays := len(d.Bytes) == 0; stays != tt.stays || d.Renew.IsZero() {
				t.Errorf("security.txt stays = %v with renewal at %s, want %v", stays, d.Renew, tt.stays)
			}
		})
	}
}

// TestLocked: without the team's key signed documents are left as they are.
func TestLocked(t *testing.T) {
	e, _ := edition(t)
	docs, err := Renderer{Version: "test"}.Render(e)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := byPath(docs)[SecurityTxtPath]
	if !ok || len(d.Bytes) != 0 || !d.Signed {
		t.Errorf("security.txt while locked = %+v, %v; want it named, signed, and without bytes", d, ok)
	}
}

// TestSecurityTxt has gpg judge the file, by its exit status.
func TestSecurityTxt(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg not installed")
	}
	e, team := edition(t)
	e.At = time.Now()
	docs, err := renderer(team).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	d := byPath(docs)[SecurityTxtPath]
	home, err := os.MkdirTemp("/tmp", "g")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	gpg := func(args ...string) string {
		out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--status-fd", "1"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("gpg %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	key, file := filepath.Join(home, "key.asc"), filepath.Join(home, "security.txt")
	for name, b := range map[string][]byte{key: byPath(docs)["/key.asc"].Bytes, file: d.Bytes} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gpg("--import", key)
	if out := gpg("--verify", file); !strings.Contains(out, "GOODSIG") {
		t.Errorf("gpg --verify security.txt: no GOODSIG\n%s", out)
	}
	text := string(d.Bytes)
	for _, want := range []string{"Contact: https://gate.lantern.example/report\n", "Contact: mailto:security@lantern.example\n", "Canonical: https://gate.lantern.example/.well-known/security.txt\n", "Encryption: https://gate.lantern.example/key.asc\n", "Expires: "} {
		if strings.Count(text, want) != 1 {
			t.Errorf("security.txt has %d lines %q, want one:\n%s", strings.Count(text, want), want, text)
		}
	}
	if left := d.Renew.Sub(e.At); left <= 0 || left >= SecurityTxtLasts {
		t.Errorf("security.txt is renewed after %s; want before it expires", left)
	}
}

// TestC11FingerprintIsTheKeys: the page shows the full fingerprint of the very
// key that is served, in groups.
func TestC11FingerprintIsTheKeys(t *testing.T) {
	e, team := edition(t)
	docs, err := renderer(team).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	served, err := pgp.ParseCertificates(byPath(docs)["/key.asc"].Bytes)
	if err != nil || len(served) != 1 {
		t.Fatalf("/key.asc holds %d certificates, %v", len(served), err)
	}
	page := strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(byPath(docs)["/"].Bytes), " ")), "")
	if !strings.Contains(page, served[0].Fingerprint()) {
		t.Errorf("the page does not show %s", served[0].FingerprintGroups())
	}
}

// TestC5PageShowsWhatIsConfigured: each example of the policy, and no other.
func TestC5PageShowsWhatIsConfigured(t *testing.T) {
	e, team := edition(t)
	home := func(yes, no []string) string {
		p := *e.Policy
		p.Intake.Scope, p.Intake.OutOfScope = yes, no
		e := e
		e.Policy = &p
		docs, err := renderer(team).Render(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(byPath(docs)["/"].Bytes)
	}
	page := home([]string{"A wick that burns through", "A lamp that opens"}, []string{"Smoke that is documented"})
	for _, want := range []string{"A wick that burns through", "A lamp that opens", "Smoke that is documented"} {
		if strings.Count(page, want) != 1 {
			t.Errorf("the page says %q %d times, want once", want, strings.Count(page, want))
		}
	}
	if other := home([]string{"Only this"}, nil); strings.Contains(other, "wick") || strings.Contains(other, "Smoke") || !strings.Contains(other, "Only this") {
		t.Errorf("another policy's page still shows the first one's examples, or not its own:\n%s", other)
	}
}
