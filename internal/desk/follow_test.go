package desk_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/publish"
)

// textOf is what the form of a notice holds.
func textOf(t *testing.T, page string) string {
	t.Helper()
	_, text, ok := strings.Cut(page, `name="text"`)
	_, text, _ = strings.Cut(text, ">")
	text, _, _ = strings.Cut(text, "</textarea>")
	if !ok {
		t.Fatal("the page has no text to edit")
	}
	return html.UnescapeString(text)
}

// TestNoticesFollowTheRelease sets the date first, then versions and patches,
// as the page asks for them, and signs what the text says.
func TestNoticesFollowTheRelease(t *testing.T) {
	h := newHouse(t)
	r := h.release("April release")
	path := "/releases/" + string(r.ID)
	at := path + "/notices/" + string(noticeTo(t, r, disclosure.ToDistributors).ID)
	b := h.as(h.Rel)
	first := textOf(t, b.page(at))
	if !strings.Contains(first, "There is no patch with this notice.") {
		t.Fatalf("the first draft has patches already:\n%s", first)
	}
	patches := map[string]string{"4.2": patchText, "5.1": patchText + " for 5.1\n"}
	for series, text := range patches {
		if a := b.upload(path+"/patch", "patch", "0001-hold.patch", text, "series", series, "case", ""); a.code != http.StatusSeeOther {
			t.Fatalf("upload the patch for %s: %d\n%s", series, a.code, faultsOf(a.body))
		}
	}
	if n := len(h.load(string(r.ID)).Patches); n != 2 {
		t.Fatalf("two series with a patch of the same name have %d patches, want 2", n)
	}
	b.done(path+"/versions", form("version", hidden(t, b.page(path), "version"), "series_0", "5.1", "number_0", "5.1.3", "series_1", "4.2", "number_1", "4.2.9"))
	text := textOf(t, b.page(at))
	for _, want := range []string{hexSum([]byte(patches["4.2"])), hexSum([]byte(patches["5.1"])), "4.2-0001-hold.patch", "5.1-0001-hold.patch", "5.1.3 and 4.2.9"} {
		if !strings.Contains(text, want) {
			t.Errorf("the draft did not follow: %q is not in\n%s", want, text)
		}
	}

	// Saved as it stands, it still follows; edited, it is marked.
	b.done(at+"/save", form("version", hidden(t, b.page(at), "version"), "subject", subjectOf(t, b.page(at)), "text", text))
	if page := b.page(at); !strings.Contains(page, `id="follows"`) || strings.Contains(page, `id="outdated"`) {
		t.Error("a draft saved as it stood does not follow any more")
	}
	b.done(at+"/save", form("version", hidden(t, b.page(at), "version"), "subject", subjectOf(t, b.page(at)), "text", text+"\nCall us. 4.2.10"))
	b.done(path+"/versions", form("version", hidden(t, b.page(path), "version"), "series_0", "5.1", "number_0", "5.1.3", "series_1", "4.2", "number_1", "4.2.10"))
	page := b.page(at)
	for _, want := range []string{`id="outdated"`, "the version of 4.2 (was 4.2.9, is 4.2.10)", "Call us."} {
		if !strings.Contains(html.UnescapeString(page), want) {
			t.Errorf("the page of an edited draft lacks %q", want)
		}
	}
	b.refusedWith(at+"/freeze", form("version", hidden(t, page, "version")), []string{"The release has changed since this text was written"}, nil)
	b.refusedWith(at+"/confirm", form("version", hidden(t, page, "version"), "outdated", "nothing"), []string{"Somebody changed this meanwhile"}, nil)
	b.done(at+"/confirm", form("version", hidden(t, page, "version"), "outdated", hidden(t, page, "outdated")))
	b.done(at+"/freeze", form("version", hidden(t, b.page(at), "version")))

	// What is attached bears the names and digests of the text.
	raw := b.get(at + "/raw").body
	for series, text := range patches {
		_, part, ok := strings.Cut(raw, `filename="`+series+`-0001-hold.patch"`)
		_, part, _ = strings.Cut(part, "\r\n\r\n")
		part, _, _ = strings.Cut(part, "\r\n--")
		got, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(part, "\r\n", ""))
		if !ok || err != nil || string(got) != text {
			t.Errorf("attached as %s-0001-hold.patch: %q, %v; want the patch for %s", series, got, err, series)
		}
	}
	b.done(at+"/thaw", form("version", hidden(t, b.page(at), "version")))

	// A name a series has is replaced only when that is said.
	again := func(pairs ...string) answer {
		return b.upload(path+"/patch", "patch", "0001-hold.patch", patchText+"+more\n", append([]string{"series", "4.2", "case", ""}, pairs...)...)
	}
	if a := again(); a.code != http.StatusUnprocessableEntity || !strings.Contains(a.body, "for 4.2 already") {
		t.Errorf("the same name for the same series: %d, want 422 and a question", a.code)
	}
	if a := again("replace", "yes"); a.code != http.StatusSeeOther {
		t.Errorf("to replace it: %d\n%s", a.code, faultsOf(a.body))
	}
	list := h.load(string(r.ID)).Patches
	if len(list) != 2 || !strings.Contains(fmt.Sprint(list), hexSum([]byte(patchText+"+more\n"))) {
		t.Errorf("after replacing: %v", list)
	}
}

func subjectOf(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`<input[^>]*name="subject"[^>]*>`).FindString(page)
	_, v, ok := strings.Cut(m, `value="`)
	v, _, _ = strings.Cut(v, `"`)
	if !ok {
		t.Fatal("the page has no subject to edit")
	}
	return html.UnescapeString(v)
}

// TestNoPrivateKeyComesBack: not in the form it was pasted into.
func TestNoPrivateKeyComesBack(t *testing.T) {
	h := newHouse(t)
	secret := "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGk0secretsecret\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----\n"
	b := h.as(h.Ada)
	for path, values := range map[string]map[string][]string{
		"/distributors/new": form("name", "Distro", "address", "a@distro.example", "key", secret),
		"/account/key":      form("key", secret),
	} {
		a := b.post(path, values)
		if a.code != http.StatusUnprocessableEntity || strings.Contains(a.body, "secretsecret") {
			t.Errorf("POST %s with a private key: %d, and on the page: %v", path, a.code, strings.Contains(a.body, "secretsecret"))
		}
	}
}

// TestAFormSaysItsVersion: without one nothing is changed under anybody.
func TestAFormSaysItsVersion(t *testing.T) {
	h := newHouse(t)
	c := h.accepted("Versioned")
	r := h.release("Versioned release")
	b := h.as(h.Ada)
	before := h.load(string(r.ID)).Version
	for path, values := range map[string]map[string][]string{
		fmt.Sprintf("/cases/%d/title", c.Number):  form("title", "Another"),
		fmt.Sprintf("/cases/%d/text", c.Number):   form("public_title", "Another"),
		"/releases/" + string(r.ID) + "/title":    form("title", "Another"),
		"/releases/" + string(r.ID) + "/versions": form("series_0", "4.2", "number_0", "4.2.99"),
		"/releases/" + string(r.ID) + "/notices/" + string(noticeTo(t, r, disclosure.ToAnnounce).ID) + "/save": form("subject", "s", "text", "t"),
	} {
		a := b.post(path, values)
		if a.code != http.StatusUnprocessableEntity || !strings.Contains(a.body, "which version") {
			t.Errorf("POST %s without a version: %d, want 422 and why", path, a.code)
		}
	}
	if after := h.load(string(r.ID)); after.Version != before {
		t.Errorf("the release went from version %d to %d", before, after.Version)
	}
}

// inPage is the one difference: the page that shows it has a title of its own,
// and names its parts after the document.
var (
	inPage  = strings.NewReplacer("<h1>", `<h3 class="as-h1">`, "</h1>", "</h3>")
	ofAPage = regexp.MustCompile(`(id|labelledby)="(?:page_\d+ )?affected_\d+"`)
)

var when = regexp.MustCompile(`(?s)<time.*?</time>`)

// TestWhatIsShownBecomesPublic: the advisory on the page that publishes is the
// one the public reads, markup and all, and its patches can be fetched.
func TestWhatIsShownBecomesPublic(t *testing.T) {
	h := newHouse(t)
	r := h.release("May release")
	path := "/releases/" + string(r.ID)
	b := h.as(h.Rel)
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, r.Cases[0].ID, func(c *disclosure.Case) error {
		x := c.Public
		x.Summary, x.Description = "Sum <script>", "A title of\n\n<img src=x onerror=alert(1)>\n\nruns in *every* lamp."
		return c.SetPublic(x, h.Ada, h.DB.Now())
	}))
	for _, series := range []string{"4.2", "5.1"} {
		if a := b.upload(path+"/patch", "patch", "0001-hold.patch", patchText+series, "series", series, "case", ""); a.code != http.StatusSeeOther {
			t.Fatalf("upload a patch: %d\n%s", a.code, faultsOf(a.body))
		}
	}
	b.done(path+"/versions", form("version", hidden(t, b.page(path), "version"), "series_0", "5.1", "number_0", "5.1.3", "series_1", "4.2", "number_1", "4.2.9"))
	b.done(path+"/urgent", form("version", hidden(t, b.page(path), "version"), "urgent", "yes", "reason", "exploited"))
	blocked := b.page(path + "/publish")
	if strings.Contains(h.calm(h.Rel).page(path+"/publish"), `id="form-step-up"`) || !strings.Contains(blocked, `id="missing"`) {
		t.Error("a code is asked for while something blocks")
	}
	b = h.as(h.Rel)
	h.approved(b, r.ID, disclosure.ToAnnounce)
	h.approved(b, r.ID, disclosure.ToOSS)
	h.Advance(t, time.Hour)
	page := b.page(path + "/publish")
	b.done(path+"/publish", form("version", hidden(t, page, "version"), "digest", hidden(t, page, "digest"), "typed", "May release"))

	docs, err := h.DB.Documents(t.Context())
	h.must(err)
	stored := map[string]disclosure.Document{}
	for _, d := range docs {
		stored[d.Path] = d
	}
	name := r.Cases[0].PublicName
	public := stored["/advisories/"+name]
	shown, ok := publish.Shown(public.Bytes)
	if !ok || !strings.Contains(when.ReplaceAllString(ofAPage.ReplaceAllString(page, `$1="affected"`), ""), when.ReplaceAllString(inPage.Replace(string(shown)), "")) {
		t.Errorf("the page showed something else than became public:\n%s", shown)
	}
	for _, want := range []string{"Sum &lt;script&gt;", "&lt;img src=x onerror=alert(1)&gt;", "<em>every</em>"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("the public page lacks %q:\n%s", want, shown)
		}
	}
	for _, series := range []string{"4.2", "5.1"} {
		at := "/advisories/" + name + "/" + series + "-0001-hold.patch"
		d := stored[at]
		if string(d.Bytes) != patchText+series || !strings.HasPrefix(d.Type, "text/plain") || !strings.Contains(string(shown), `href="`+at+`"`) {
			t.Errorf("%s: %q as %q, want the patch as text, linked from the advisory", at, d.Bytes, d.Type)
		}
	}

	// A later edition of the site keeps them.
	h.must(h.DB.PublishSite(t.Context(), h.Ada, publish.Renderer{Version: "next"}.Render))
	docs, err = h.DB.Documents(t.Context())
	h.must(err)
	kept := 0
	for _, d := range docs {
		if strings.HasSuffix(d.Path, ".patch") && string(d.Bytes) == string(stored[d.Path].Bytes) && d.Rendered == "next" {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("the next edition of the site kept %d patches as rendered by itself, want 2", kept)
	}
}

// TestALongTextLocksNothing: where a notice would become too long, its release
// says so, every page goes on, and the notice can be canceled.
func TestALongTextLocksNothing(t *testing.T) {
	h := newHouse(t)
	r := h.release("Long release")
	path := "/releases/" + string(r.ID)
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, r.Cases[0].ID, func(c *disclosure.Case) error {
		x := c.Public
		x.Description = strings.Repeat("On and on. ", 9_000)
		x.Impact, x.Workaround = x.Description, x.Description
		return c.SetPublic(x, h.Ada, h.DB.Now())
	}))
	b := h.as(h.Rel)
	b.done(path+"/title", form("version", hidden(t, b.page(path), "version"), "title", "Longer release"))
	for _, a := range []disclosure.Audience{disclosure.ToDistributors, disclosure.ToAnnounce} {
		at := path + "/notices/" + string(noticeTo(t, r, a).ID)
		for _, page := range []string{path, path + "/publish", at} {
			if !strings.Contains(b.page(page), "The text could not be written: This text is too long") {
				t.Errorf("%s does not say why the notice to %s could not be written", page, a)
			}
		}
		b.refusedWith(at+"/redraft", form("version", hidden(t, b.page(at), "version")), []string{"too long"}, nil)
		b.done(at+"/cancel", form("version", hidden(t, b.page(at), "version")))
	}
}
