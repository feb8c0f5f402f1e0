package world

import (
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"postern/internal/auth"
)

// Join takes an invitation as the person does who was sent the link: on its
// page, with a second factor of their own. They can sign in from then on.
func (w *World) Join(name, link string) {
	w.T.Helper()
	p := w.Visit(w.DeskURL).Get(link).OK()
	otp := p.ByID("otpauth")
	if otp == nil {
		w.T.Fatalf("the invitation of %s shows no second factor: %s", name, p.Text())
	}
	at, err := url.Parse(Attr(otp, "href"))
	if err != nil {
		w.T.Fatal(err)
	}
	secret, err := auth.ParseTOTPSecret(at.Query().Get("secret"))
	if err != nil {
		w.T.Fatalf("read %s's second factor: %v", name, err)
	}
	m := &member{totp: secret, pass: Password}
	w.members[name] = m
	done := p.Submit("form-invite", []Field{{"password", m.pass}, {"password_again", m.pass}, {"code", w.Code(name)}})
	if done.Status != http.StatusOK || done.URL.Path != "/sign-in" {
		w.T.Fatalf("%s could not join: %d at %s: %s", name, done.Status, done.URL.Path, done.Text())
	}
	list, err := w.DB.Members(w.T.Context(), m.caller)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, x := range list {
		if x.Login == w.Login(name) {
			m.caller = x.Caller()
		}
	}
}

// TextOf is what can be read in the element with the id.
func (p *Page) TextOf(id string) string {
	p.v.T.Helper()
	n := p.ByID(id)
	if n == nil {
		p.v.T.Fatalf("%s has nothing with the id %q: %s", p.URL, id, p.Text())
	}
	var b strings.Builder
	each(n, func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	})
	return strings.Join(strings.Fields(b.String()), " ")
}
