package desk

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/server"
	pages "postern/web/desk"
)

func (d *Desk) signInRoutes() {
	d.server.Page("/", d.member(0, func(v *visit) error { return v.see(home(v.by)) }))
	d.server.Page(pages.PathSignIn, d.signInPage)
	d.server.Form(pages.PathSignIn, 0, d.signIn)
	d.form(pages.PathSignOut, 0, 0, d.signOut)
	d.page(pages.PathStepUp, 0, d.stepUpPage)
	d.form(pages.PathStepUp, 0, 3<<20, d.stepUpForm) // with a form that waits, whose bytes hidden fields may write longer
	d.server.Page(pages.PathInvite+"/{token}", d.invitePage)
	d.server.Form(pages.PathInvite+"/{token}", 0, d.accept)
	d.server.Page("/enter/{token}", d.enter)
}

// home is where a member begins.
func home(by disclosure.Caller) string {
	if by.Roles&team == 0 {
		return pages.PathLog
	}
	return pages.PathInbox
}

// cookie is the session's name. Over https it is bound to the host.
func (d *Desk) cookie() string {
	if d.secure() {
		return "__Host-session"
	}
	return "session"
}

func (d *Desk) secure() bool { return strings.HasPrefix(d.c.URL, "https://") }

func (d *Desk) setSession(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: d.cookie(), Value: value, Path: "/", MaxAge: age, HttpOnly: true,
		Secure: d.secure(), SameSite: http.SameSiteLaxMode})
}

// session finds whose request this is; ErrNotFound: nobody's.
func (d *Desk) session(r *http.Request) (postgres.Session, error) {
	c, err := r.Cookie(d.cookie())
	if err != nil {
		return postgres.Session{}, disclosure.ErrNotFound
	}
	hash := auth.HashToken(c.Value)
	return d.c.DB.Session(r.Context(), hash[:])
}

// signInFirst sends a stranger to the sign-in page, with where they wanted to
// go, whether it exists or not.
func signInFirst(r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return redirect(pages.PathSignIn)
	}
	if r.URL.Path == "/" {
		return redirect(pages.PathSignIn)
	}
	return redirect(pages.PathSignIn + "?" + pages.FieldNext + "=" + url.QueryEscape(r.URL.Path))
}

var ownPath = regexp.MustCompile(`^/[A-Za-z0-9_][A-Za-z0-9_/.-]{0,200}$`)

// next is where to go on to: one of our own paths, or fallback.
func next(path, fallback string) string {
	if ownPath.MatchString(path) && !strings.Contains(path, "//") {
		return path
	}
	return fallback
}

// parentPage is the page a form belongs to: the path without its last part,
// unless the form's own path is a page as well.
func parentPage(path string) string {
	if strings.HasPrefix(path, pages.PathMembers+"/") {
		return pages.PathMembers // a member has no page
	}
	for _, page := range []string{pages.ReleasePublish, pages.ReleasePostpone, pages.ReleaseCallOff, pages.NoticeSend} {
		if strings.HasSuffix(path, "/"+page) {
			return path
		}
	}
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return path
}

func (d *Desk) signInPage(w http.ResponseWriter, r *http.Request) error {
	if !d.unlocked() {
		return toUnlock
	}
	f := d.bare()
	if r.URL.Query().Get("after") == "unlock" {
		f.Flash = flashes["unlocked"]
	}
	return server.Render(w, r, http.StatusOK, pages.SignIn(pages.SignInView{Desk: f, Next: next(r.URL.Query().Get(pages.FieldNext), "")}))
}

// tooMany is the sentence for who tried too often, and sets Retry-After: what
// was sent was not looked at, right or wrong.
func tooMany(w http.ResponseWriter, wait time.Duration, what string) string {
	wait = max(wait.Round(time.Second), time.Second)
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	return "Too many tries to " + what + ". This one was not looked at, right or wrong: wait " + wait.String() + ", then try again."
}

const wrongSignIn = "Mail address, password or code is wrong. A code works once; wait for the next one if you just used it."

// signIn checks all three at once and says the same whatever is wrong. An
// unknown name costs the same time as a known one.
func (d *Desk) signIn(w http.ResponseWriter, r *http.Request) error {
	if !d.unlocked() {
		return toUnlock
	}
	name := strings.ToLower(strings.TrimSpace(r.PostFormValue(pages.FieldName)))
	status := http.StatusUnprocessableEntity
	fail := func(text string) error {
		f := d.bare()
		f.Faults = []disclosure.Fault{{Field: pages.FieldName, Text: text}}
		return server.Render(w, r, status, pages.SignIn(pages.SignInView{Desk: f, Name: name,
			Next: next(r.PostFormValue(pages.FieldNext), "")}))
	}
	// By name and address, so that a stranger's wrong tries do not shut the
	// member out; and, more generously, by the name alone.
	key := sha256.Sum256([]byte("sign-in " + d.server.AddressKey(r) + name))
	anywhere := sha256.Sum256([]byte("sign-in anywhere " + name))
	wait, err := d.c.DB.Attempt(r.Context(), key[:])
	if err == nil && wait == 0 {
		wait, err = d.c.DB.AttemptAnywhere(r.Context(), anywhere[:])
	}
	if err != nil {
		return err
	}
	if wait > 0 {
		status = http.StatusTooManyRequests
		return fail(tooMany(w, wait, "sign in as this member"))
	}
	in, err := d.c.DB.ByLogin(r.Context(), name)
	if err != nil && !errors.Is(err, disclosure.ErrNotFound) {
		return err
	}
	stored := in.Password
	if err != nil || stored == "" {
		stored = d.dummy
	}
	passwordErr := auth.CheckPassword(stored, r.PostFormValue(pages.FieldPassword))
	step, codeErr := auth.CheckTOTP(in.TOTP, r.PostFormValue(pages.FieldCode), d.c.DB.Wall(), in.Step)
	if err != nil || passwordErr != nil || codeErr != nil || in.Password == "" {
		return fail(wrongSignIn)
	}
	secret, hash := auth.NewToken()
	err = d.c.DB.NewSession(r.Context(), in.Member.ID, step, hash[:], family(r.UserAgent()))
	if errors.Is(err, postgres.ErrUsedCode) || errors.Is(err, disclosure.ErrNotFound) {
		return fail(wrongSignIn)
	}
	if err != nil {
		return err
	}
	for _, k := range [][32]byte{key, anywhere} {
		if err := d.c.DB.AttemptSucceeded(r.Context(), k[:]); err != nil {
			return err
		}
	}
	d.setSession(w, secret, int(postgres.SessionLife/time.Second))
	http.Redirect(w, r, next(r.PostFormValue(pages.FieldNext), home(in.Member.Caller())), http.StatusSeeOther)
	return nil
}

// family is the browser's name, for the list of one's own sessions.
func family(agent string) string {
	for _, name := range []string{"Firefox", "Edg", "OPR", "Chrome", "Safari", "curl"} {
		if strings.Contains(agent, name) {
			return strings.NewReplacer("Edg", "Edge", "OPR", "Opera").Replace(name)
		}
	}
	return "another program"
}

func (d *Desk) signOut(v *visit) error {
	if err := d.c.DB.EndSession(v.Context(), v.session.Hash); err != nil {
		return err
	}
	d.setSession(v.w, "", -1)
	v.w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return v.see(pages.PathSignIn)
}

// askFirst asks for the second factor before what v wants. A page is come back
// to. A form waits in hidden fields of the page that asks, and is sent on from
// there, never by way of an address; those that send and publish have a page of
// their own to be read again, and a passphrase is not put into a page.
func (d *Desk) askFirst(v *visit) error {
	if v.Method != http.MethodPost {
		return redirect(pages.PathStepUp + "?next=" + v.URL.Path)
	}
	back := redirect(pages.PathStepUp + "?next=" + parentPage(v.URL.Path))
	for _, own := range []string{pages.ReleasePublish, pages.NoticeSend} {
		if strings.HasSuffix(v.URL.Path, "/"+own) {
			return back
		}
	}
	if err := v.ParseForm(); err != nil {
		return err
	}
	view := d.stepUpView(v, parentPage(v.URL.Path))
	view.Then = v.URL.Path
	if view.Kept = keptFields(v.PostForm); view.Kept == nil {
		return back
	}
	return server.Render(v.w, v.Request, http.StatusForbidden, pages.StepUp(view))
}

// mostKept bounds the fields of a form that waits for a second factor.
const mostKept = 1000

// keptFields are the fields of a form that waits; nil: it is not kept.
func keptFields(form url.Values) []pages.KeptField {
	kept := []pages.KeptField{}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		switch name {
		case pages.FieldPass, pages.FieldPassTwo, pages.FieldPassNow, pages.FieldPassword, pages.FieldAgain:
			return nil
		case pages.FieldCode, pages.FieldNext, pages.FieldStepUpThen:
			continue
		}
		for _, value := range form[name] {
			kept = append(kept, pages.KeptField{Name: name, Value: value})
		}
	}
	if len(kept) > mostKept {
		return nil
	}
	return kept
}

func (d *Desk) stepUpPage(v *visit) error {
	return v.render(pages.StepUp(d.stepUpView(v, v.URL.Query().Get(pages.FieldNext))))
}

func (d *Desk) stepUpView(v *visit, to string) pages.StepUpView {
	return pages.StepUpView{Desk: d.frame(v, ""), Next: next(to, home(v.by)), DemoCode: d.demoCode(v)}
}

// demoCode is the member's current code, shown in the demo alone.
func (d *Desk) demoCode(v *visit) string {
	if !d.c.Demo {
		return ""
	}
	in, err := d.c.DB.SignInOf(v.Context(), v.by.Member)
	if err != nil {
		return ""
	}
	at := d.c.DB.Wall()
	if _, err := auth.CheckTOTP(in.TOTP, auth.TOTPCode(in.TOTP, at), at, in.Step); err != nil {
		at = at.Add(30 * time.Second) // this one was used; the next is taken as well
	}
	return auth.TOTPCode(in.TOTP, at)
}

func (d *Desk) stepUpForm(v *visit) error {
	to := next(v.PostFormValue(pages.FieldNext), home(v.by))
	fail := func(text string) error {
		view := d.stepUpView(v, to)
		if view.Then = next(v.PostFormValue(pages.FieldStepUpThen), ""); view.Then != "" {
			view.Kept = keptFields(v.PostForm)
		}
		view.Faults = []disclosure.Fault{{Field: pages.FieldCode, Text: text}}
		return v.again(pages.StepUp(view))
	}
	key := sha256.Sum256([]byte("step-up " + string(v.by.Member)))
	wait, err := d.c.DB.Attempt(v.Context(), key[:])
	if err != nil {
		return err
	}
	if wait > 0 {
		return fail("Too many tries. Wait " + wait.Round(time.Second).String() + " and try again.")
	}
	in, err := d.c.DB.SignInOf(v.Context(), v.by.Member)
	if err != nil {
		return err
	}
	step, err := auth.CheckTOTP(in.TOTP, v.PostFormValue(pages.FieldCode), d.c.DB.Wall(), in.Step)
	if err != nil {
		return fail("The code is wrong, or was used already. Wait for the next one and try again.")
	}
	switch err := d.c.DB.Verified(v.Context(), v.session.Hash, step); {
	case errors.Is(err, postgres.ErrUsedCode):
		return fail("The code was used already. Wait for the next one and try again.")
	case err != nil:
		return err
	}
	if err := d.c.DB.AttemptSucceeded(v.Context(), key[:]); err != nil {
		return err
	}
	if then := next(v.PostFormValue(pages.FieldStepUpThen), ""); then != "" && then != pages.PathStepUp {
		http.Redirect(v.w, v.Request, then, http.StatusTemporaryRedirect) // 307: with method and body
		return nil
	}
	return v.see(to)
}

// invitePage shows a new second factor. The secret travels in the form: it
// becomes the member's only with a code made from it and the link's token.
func (d *Desk) invitePage(w http.ResponseWriter, r *http.Request) error {
	return d.invite(w, r, auth.NewTOTPSecret(), nil)
}

func (d *Desk) invite(w http.ResponseWriter, r *http.Request, secret auth.TOTPSecret, faults []disclosure.Fault) error {
	if !d.unlocked() {
		return toUnlock
	}
	token := r.PathValue("token")
	hash := auth.HashToken(token)
	view := pages.InviteView{Desk: d.bare()}
	m, err := d.c.DB.Invited(r.Context(), hash[:])
	if errors.Is(err, disclosure.ErrNotFound) {
		view.Gone = true
		return server.Render(w, r, http.StatusNotFound, pages.Invite(view))
	}
	if err != nil {
		return err
	}
	view.Faults, view.Name, view.Roles = faults, m.Name, m.Roles
	view.Action = pages.PathInvite + "/" + token
	view.Secret, view.OTPAuth = secret.Base32(), auth.TOTPURL("Postern", m.Login, secret)
	if d.c.Demo {
		view.DemoCode = auth.TOTPCode(secret, d.c.DB.Wall())
	}
	status := http.StatusOK
	if len(faults) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return server.Render(w, r, status, pages.Invite(view))
}

// accept takes password and second factor, once.
func (d *Desk) accept(w http.ResponseWriter, r *http.Request) error {
	if !d.unlocked() {
		return toUnlock
	}
	secret, err := auth.ParseTOTPSecret(r.PostFormValue(pages.FieldSecret))
	if err != nil {
		return d.invite(w, r, auth.NewTOTPSecret(), []disclosure.Fault{{Field: pages.FieldCode, Text: "Begin again: the second factor was lost on the way."}})
	}
	hash := auth.HashToken(r.PathValue("token"))
	m, err := d.c.DB.Invited(r.Context(), hash[:])
	if err != nil {
		return d.invite(w, r, secret, nil)
	}
	var refusal *disclosure.Refusal
	password := r.PostFormValue(pages.FieldPassword)
	if err := auth.AcceptPassword(password, m.Name, m.Login); err != nil {
		refusal = refusal.Add(pages.FieldPassword, sentence(err))
	} else if password != r.PostFormValue(pages.FieldAgain) {
		refusal = refusal.Add(pages.FieldAgain, "The two passwords differ. Type the same one twice.")
	}
	step, err := auth.CheckTOTP(secret, r.PostFormValue(pages.FieldCode), d.c.DB.Wall(), 0)
	if err != nil {
		refusal = refusal.Add(pages.FieldCode, "This code does not fit the second factor shown here. Wait for the next one and type it.")
	}
	if refusal.Err() != nil {
		return d.invite(w, r, secret, refusal.Faults)
	}
	phc, err := auth.HashPassword(password, d.c.PasswordCost)
	if err != nil {
		return err
	}
	m, err = d.c.DB.AcceptInvite(r.Context(), hash[:], phc, secret, step)
	if err != nil {
		return err
	}
	http.Redirect(w, r, pages.PathSignIn, http.StatusSeeOther)
	return nil
}

// sentence makes an error's text a sentence for a page.
func sentence(err error) string {
	text := err.Error()
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

// links are the demo's one-time sign-in links; production makes none.
type links struct {
	mu     sync.Mutex
	byHash map[auth.TokenHash]disclosure.MemberID
}

// Link makes a link that signs the member in, once. Only a demo's database
// honors it.
func (d *Desk) Link(_ context.Context, member disclosure.MemberID) string {
	token, hash := auth.NewToken()
	d.links.mu.Lock()
	defer d.links.mu.Unlock()
	if d.links.byHash == nil {
		d.links.byHash = map[auth.TokenHash]disclosure.MemberID{}
	}
	d.links.byHash[hash] = member
	return d.c.URL + "/enter/" + token
}

// errUsedLink: a link that was used, or never was; nobody is told which.
var errUsedLink = errors.New("the link was used")

func (d *Desk) enter(w http.ResponseWriter, r *http.Request) error {
	hash := auth.HashToken(r.PathValue("token"))
	d.links.mu.Lock()
	member, ok := d.links.byHash[hash]
	delete(d.links.byHash, hash)
	d.links.mu.Unlock()
	if !d.c.Demo || r.Method != http.MethodGet {
		return disclosure.ErrNotFound
	}
	if !ok {
		return errUsedLink
	}
	secret, session := auth.NewToken()
	if err := d.c.DB.NewLinkSession(r.Context(), member, session[:], family(r.UserAgent())); err != nil {
		return err
	}
	d.setSession(w, secret, int(postgres.SessionLife/time.Second))
	http.Redirect(w, r, pages.PathInbox, http.StatusSeeOther)
	return nil
}
