package work

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/publish"
	"postern/internal/vault"
)

// renewAgain is how long what a rendering could not renew is left alone: signed
// documents wait for a key.
const renewAgain = time.Hour

// Renderer renders as this process can: without Sign while the vault is locked.
func (w *Work) Renderer(ctx context.Context) (publish.Renderer, error) {
	r, _, err := w.renderer(ctx)
	return r, err
}

// Render makes the documents of an edition; it is what PublishSite and Publish
// are given.
func (w *Work) Render(ctx context.Context) (func(disclosure.Edition) ([]disclosure.Document, error), error) {
	r, err := w.Renderer(ctx)
	return r.Render, err
}

func (w *Work) renderer(ctx context.Context) (r publish.Renderer, signedBy string, err error) {
	r = publish.Renderer{Version: w.c.Version, Now: w.c.DB.Now, Demo: w.c.Demo}
	_, signer, err := w.keys.get(ctx)
	if err != nil && !errors.Is(err, vault.ErrLocked) {
		return r, "", err
	}
	if signer != nil {
		r.Sign = func(text []byte, now time.Time) ([]byte, error) { return pgp.ClearSign(text, signer, now) }
	}
	return r, signingPrint(signer), nil
}

// PublishSite renders the site now: after a policy was applied or a key changed.
func (w *Work) PublishSite(ctx context.Context, by disclosure.Caller) error {
	r, err := w.Renderer(ctx)
	if err != nil {
		return err
	}
	return w.c.DB.PublishSite(ctx, by, r.Render)
}

// renew renders the site again when a document is due, or was rendered by
// another version of the program.
func (w *Work) renew(ctx context.Context) (int, error) {
	due, err := w.c.DB.DocumentsDue(ctx, w.c.Version)
	if err != nil {
		return 0, fmt.Errorf("ask which documents are due: %w", err)
	}
	if !due {
		return 0, nil
	}
	w.site.Lock()
	defer w.site.Unlock()
	r, signer, err := w.renderer(ctx)
	if err != nil {
		return 0, err
	}
	now, last := w.c.DB.Now(), &w.site
	if last.signer == signer && !last.at.IsZero() && now.Sub(last.at) < renewAgain {
		return 0, nil
	}
	if _, err := w.c.DB.CurrentPolicy(ctx); errors.Is(err, disclosure.ErrNotFound) {
		return 0, nil // nothing to publish before there is a policy
	}
	if err := w.c.DB.PublishSite(ctx, by("site"), r.Render); err != nil {
		return 0, fmt.Errorf("render the site: %w", err)
	}
	w.Stats.Rendered.Add(1)
	if due, err = w.c.DB.DocumentsDue(ctx, w.c.Version); err != nil {
		return 1, fmt.Errorf("ask which documents are due: %w", err)
	}
	if last.at = (time.Time{}); due {
		last.at, last.signer = now, signer
	}
	return 1, nil
}
