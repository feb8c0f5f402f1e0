package work

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// keyring holds the team's keys while the vault is unlocked. It looks at the
// public halves at each use, so that a key another process changed or retired
// is known before the next mail.
type keyring struct {
	db *postgres.DB

	mu     sync.Mutex
	of     string // what the keys were made from; "": none are held
	ring   pgp.Ring
	signer *pgp.Secret // nil: there is no current key
}

// get returns the keys that open, and the one that signs: nil where the team
// has none. vault.ErrLocked while locked.
func (k *keyring) get(ctx context.Context) (pgp.Ring, *pgp.Secret, error) {
	v := k.db.Vault()
	if v == nil || !v.Unlocked() {
		k.forget()
		return pgp.Ring{}, nil, vault.ErrLocked
	}
	public, err := k.db.PublicKeys(ctx)
	if err != nil {
		return pgp.Ring{}, nil, err
	}
	h := sha256.New()
	for _, p := range public {
		fmt.Fprintf(h, "%s %s %d %x\n", p.Kind, p.ID, p.Retired.UnixMicro(), sha256.Sum256(p.Public))
	}
	of := hex.EncodeToString(h.Sum(nil))
	k.mu.Lock()
	defer k.mu.Unlock()
	if of == k.of {
		return k.ring, k.signer, nil
	}
	keys, err := k.db.TeamKeys(ctx, by("keys"))
	if err != nil {
		return pgp.Ring{}, nil, err
	}
	var ring pgp.Ring
	var signer *pgp.Secret
	for _, key := range keys {
		s, err := pgp.ParseSecret(key.Secret, nil)
		clear(key.Secret)
		if err != nil {
			return pgp.Ring{}, nil, fmt.Errorf("read the team's key %s: %w", key.Fingerprint, err)
		}
		if !key.Retired.IsZero() {
			ring.Retired = append(ring.Retired, s)
			continue
		}
		ring.Secrets = append(ring.Secrets, s)
		if signer == nil {
			signer = s
		}
	}
	k.of, k.ring, k.signer = of, ring, signer
	return ring, signer, nil
}

func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of, k.ring, k.signer = "", pgp.Ring{}, nil
}

// signingPrint names the current signing key, for the cache of prepared notices.
func signingPrint(s *pgp.Secret) string {
	if s == nil {
		return ""
	}
	return s.Certificate().Fingerprint()
}
