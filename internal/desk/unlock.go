package desk

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/server"
	"postern/internal/vault"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) staticRoutes() {
	d.server.Page(ui.StaticPrefix+"*", d.static)
	d.server.Page("/healthz", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, err := w.Write([]byte("ok\n"))
		return err
	})
}

// static serves styles and scripts; they hold nothing of anybody.
func (d *Desk) static(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(r.URL.Path, ui.StaticPrefix)
	kind := ui.StaticType(name)
	if kind == "" {
		return disclosure.ErrNotFound
	}
	b, err := fs.ReadFile(ui.Static(), name)
	if err != nil {
		return disclosure.ErrNotFound
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", ui.StaticTag(name))
	h.Set("Cache-Control", "public, no-cache")
	if r.URL.Query().Get("v") != "" {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == ui.StaticTag(name) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(b)
	}
	return nil
}

func (d *Desk) unlockRoutes() {
	d.server.Page(pages.PathUnlock, d.unlockPage)
	d.server.Form(pages.PathUnlock, 0, d.unlock)
	d.form(pages.PathLock, disclosure.Admin, 0, d.lock)
}

func (d *Desk) unlockPage(w http.ResponseWriter, r *http.Request) error {
	if d.unlocked() {
		return redirect(pages.PathSignIn)
	}
	return d.showUnlock(w, r, http.StatusOK, nil)
}

func (d *Desk) showUnlock(w http.ResponseWriter, r *http.Request, status int, faults []disclosure.Fault) error {
	view := pages.UnlockView{Desk: d.bare()}
	view.Faults = faults
	if since, err := d.c.DB.LockedSince(r.Context()); err == nil {
		view.Since = since
	}
	return server.Render(w, r, status, pages.Unlock(view))
}

// unlock takes a passphrase alone and is limited in rate: each try costs the
// full derivation, and a few wrong ones cost a wait.
func (d *Desk) unlock(w http.ResponseWriter, r *http.Request) error {
	v := d.c.DB.Vault()
	if v == nil || v.Unlocked() {
		return redirect(pages.PathSignIn)
	}
	fault := func(text string) error {
		return d.showUnlock(w, r, http.StatusUnprocessableEntity, []disclosure.Fault{{Field: pages.FieldPass, Text: text}})
	}
	// By address, so that a stranger's tries do not keep the team out; and, more
	// generously, for all: each try costs the memory of a derivation.
	from := d.server.AddressKey(r)
	wait, ok := d.unlocks.Try(from, d.c.DB.Wall())
	if ok {
		wait, ok = d.anyUnlock.Try("vault", d.c.DB.Wall())
	}
	if !ok {
		return d.showUnlock(w, r, http.StatusTooManyRequests, []disclosure.Fault{{Field: pages.FieldPass, Text: tooMany(w, wait, "unlock")}})
	}
	if err := d.c.DB.Unlock(r.Context(), r.PostFormValue(pages.FieldPass)); err != nil {
		if errors.Is(err, vault.ErrWrongSecret) {
			return fault("No slot opens with this. Check the passphrase, or use the recovery phrase.")
		}
		return err
	}
	d.unlocks.Succeeded(from)
	d.anyUnlock.Succeeded("vault")
	d.c.Log.Info("the vault was unlocked", "door", "desk")
	if d.c.Unlocked != nil {
		d.c.Unlocked()
	}
	d.c.Wake()
	http.Redirect(w, r, pages.PathSignIn+"?after=unlock", http.StatusSeeOther)
	return nil
}

func (d *Desk) lock(v *visit) error {
	d.c.DB.Vault().Lock()
	d.c.Log.Info("the vault was locked", "door", "desk")
	return v.see(pages.PathUnlock)
}

// flashes are the sentences a page may say once after a form was done.
var flashes = map[string]string{
	"merged":       "Merged. Each reporter keeps a lane of their own here.",
	"split":        "Split off again.",
	"paused":       "Intake is paused; the notice is public. Mail is taken in order all the same.",
	"resumed":      "Intake is open again.",
	"unlocked":     "The vault is unlocked. Sign in to go on.",
	"acknowledged": "Acknowledged. The promise of a first answer is kept.",
	"assigned":     "The owner is set.",
	"moved":        "Done.",
	"closed":       "The case is closed.",
	"closed-tell":  "The case is closed, and nobody was told why: the letter below is ready to be sent.",
	"reopened":     "The case is open again.",
	"noted":        "The note is kept. It stays in the team.",
	"replying":     "Your answer leaves in 30 seconds. You can take it back until then.",
	"taken-back":   "Taken back. Nobody outside saw it.",
	"trying":       "It will be opened again in a moment. The history says what came of it.",
	"opened":       "The message was opened. What it says is here.",
	"supplied":     "The text is kept, under your name.",
	"saved":        "Saved.",
	"planned":      "The hour is set.",
	"drafted":      "The notice is drafted.",
	"confirmed":    "Noted: the text holds as it is.",
	"frozen":       "The notice is frozen. Its bytes do not change any more.",
	"thawed":       "The notice is a draft again; what was approved is void.",
	"approved":     "You approved these bytes for this list.",
	"sending":      "The notice is being sent. The ledger below fills by itself.",
	"resent":       "It is queued again, with the same Message-ID.",
	"settled":      "Noted as received.",
	"canceled":     "Canceled. What had not left will not leave.",
	"postponed":    "Postponed. What had not left will not leave.",
	"called-off":   "Called off. Its cases are accepted cases again.",
	"begun":        "The day has begun.",
	"published":    "Published. The documents are public, and the announcement is queued.",
	"enrolled":     "Enrolled.",
	"set-aside":    "Set aside. Nothing was sent by it.",
	"taken-up":     "Taken up again.",
	"made-case":    "It is a case now, from the time it came.",
	"revoked":      "Revoked. Nothing more is sent there.",
	"invited":      "Invited.",
	"let-go":       "Let go. Sending and publishing work again.",
	"applied":      "The policy is in force.",
	"applied-held": "The policy is in force. The public site follows once the instance is let go.",
	"signed":       "The signature is good, and kept with the notice.",
	"agreed":       "You agreed to publishing.",
	"removed":      "Removed.",
	"time-moved":   "Time was moved.",
}
