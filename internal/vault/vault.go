package vault

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

var (
	// ErrLocked says that the vault must be unlocked first.
	ErrLocked = errors.New("the vault is locked")
	// ErrWrongSecret says that no slot opens with the secret given.
	ErrWrongSecret = errors.New("no slot of the vault opens with this passphrase")
	// ErrAltered says that a slot opened, but the record beside it is not the
	// one it was made with.
	ErrAltered = errors.New("the vault's record was altered: its keys do not belong together")
	// ErrOtherVaultKey says that something was sealed to another vault pair.
	ErrOtherVaultKey = errors.New("sealed to another vault key than this vault's")
	// ErrLastSlot says that a slot cannot go, because nothing else would open
	// the vault.
	ErrLastSlot = errors.New("the last slot of the vault cannot be removed")
)

// Record is what is stored of the vault besides its slots. Nothing of it is
// secret.
type Record struct {
	KeyID         string // [Public.ID]
	Public        []byte
	SealedDeskKey []byte
	Created       time.Time
}

// SetupResult is a new vault. Record and Slots are to be stored; Recovery is to
// be shown once and forgotten.
type SetupResult struct {
	Record   Record
	Slots    []Slot // the holder's and the recovery slot
	Recovery string
	Vault    *Vault // unlocked
}

// Format keeps the recovery phrase out of fmt's output.
func (r SetupResult) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[vault setup]") }

// LogValue keeps it out of slog's.
func (r SetupResult) LogValue() slog.Value { return slog.StringValue("[vault setup]") }

// Vault holds the keys of one instance, locked or unlocked. It is safe for
// concurrent use.
type Vault struct {
	instance InstanceID
	record   Record
	public   *Public

	trying sync.Mutex // one derivation at a time: each takes its slot's memory

	mu      sync.RWMutex
	slots   []Slot
	seed    Key // of the private half; zero while locked
	private hpke.PrivateKey
	desk    Key
	changed chan struct{}
}

// Format keeps the keys out of fmt's output.
func (v *Vault) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[vault]") }

// Setup makes the keys of a new instance. label names the holder of the
// passphrase.
func Setup(instance InstanceID, label, passphrase string, now time.Time, cost Cost) (*SetupResult, error) {
	private, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make the vault pair: %w", err)
	}
	b, err := private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make the vault pair: %w", err)
	}
	defer clear(b)
	seed, err := KeyFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("make the vault pair: %w", err)
	}
	public, err := ParsePublic(private.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	keyID, desk, recovery := public.ID(), NewKey(), NewRecoveryPhrase()
	holder, err := newSlot(instance, keyID, seed, SlotPassphrase, label, passphrase, now, cost)
	if err != nil {
		return nil, fmt.Errorf("make the slot of %s: %w", label, err)
	}
	paper, err := newSlot(instance, keyID, seed, SlotRecovery, "recovery phrase", recovery, now, cost)
	if err != nil {
		return nil, fmt.Errorf("make the recovery slot: %w", err)
	}
	record := Record{
		KeyID: keyID, Public: public.Bytes(), Created: now,
		SealedDeskKey: wrapDeskKey(instance, keyID, seed, desk),
	}
	slots := []Slot{holder, paper}
	v, err := Load(instance, record, slots)
	if err != nil {
		return nil, err
	}
	v.seed, v.private, v.desk = seed, private, desk
	return &SetupResult{Record: record, Slots: slots, Recovery: recovery, Vault: v}, nil
}

// Load returns the stored vault, locked.
func Load(instance InstanceID, rec Record, slots []Slot) (*Vault, error) {
	public, err := ParsePublic(rec.Public)
	if err != nil {
		return nil, err
	}
	if public.ID() != rec.KeyID {
		return nil, fmt.Errorf("load vault key %s: %w", rec.KeyID, ErrAltered)
	}
	return &Vault{
		instance: instance, record: rec, public: public,
		slots: slices.Clone(slots), changed: make(chan struct{}),
	}, nil
}

// The desk key is sealed under a key derived from the private half and not by
// HPKE, with which anybody who can write to the database could put a desk key
// of his own in its place.
func wrapDeskKey(instance InstanceID, keyID string, seed, desk Key) []byte {
	return seed.Derive("desk key").Wrap(deskAAD(instance, keyID), desk)
}

func deskAAD(instance InstanceID, keyID string) AAD {
	return AAD{Instance: instance, Table: "vault", Column: "desk_key", Row: keyID, Version: 1}
}

// Unlock opens the vault with any slot's secret and says which slot it was.
// It tries all of them, whichever opens, so that the time says nothing; one
// try costs the derivation of every slot, and tries wait for one another.
// Unlocking an open vault checks the
// secret and changes nothing else. Limiting the rate is the caller's affair.
func (v *Vault) Unlock(secret string) (slotID string, err error) {
	v.trying.Lock()
	seed, slotID, err := v.trySlots(secret)
	// What Argon2id took is most of what the process ever holds: give it back
	// now instead of minutes later.
	debug.FreeOSMemory()
	v.trying.Unlock()
	if err != nil {
		return "", err
	}
	// Slots are bound to KeyID and Load binds that to the public half, so that
	// this cannot differ; it is asked because arrivals are sealed to it.
	private, err := kem().NewPrivateKey(seed.b[:])
	if err != nil || !bytes.Equal(private.PublicKey().Bytes(), v.public.bytes) {
		return "", ErrAltered
	}
	desk, err := seed.Derive("desk key").Unwrap(deskAAD(v.instance, v.record.KeyID), v.record.SealedDeskKey)
	if err != nil {
		return "", ErrAltered
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.private == nil {
		v.seed, v.private, v.desk = seed, private, desk
		v.announce()
	}
	return slotID, nil
}

func (v *Vault) trySlots(secret string) (seed Key, slotID string, err error) {
	err = ErrWrongSecret
	for _, s := range v.Slots() {
		if s.Kind == SlotMachine || s.KeyID != v.record.KeyID {
			continue
		}
		opened, failure := s.open(v.instance, secret)
		switch {
		case failure == nil && slotID == "":
			seed, slotID = opened, s.ID
		case failure != nil && !errors.Is(failure, ErrWrongSecret):
			err = fmt.Errorf("%w (and slot %s cannot be tried: %w)", ErrWrongSecret, s.ID, failure)
		}
	}
	if slotID == "" {
		return Key{}, "", err
	}
	return seed, slotID, nil
}

// Lock forgets the keys. Keys already handed out stay with their holders.
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.private == nil {
		return
	}
	clear(v.seed.b[:])
	clear(v.desk.b[:])
	v.private = nil
	v.announce()
}

// announce tells everybody who watches; v.mu is held.
func (v *Vault) announce() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// Unlocked reports whether the keys are in memory.
func (v *Vault) Unlocked() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.private != nil
}

// Watch returns a channel that is closed at the next locking or unlocking.
// Take it before asking [Vault.Unlocked], or a change may be missed.
func (v *Vault) Watch() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.changed
}

// DeskKey returns the key that wraps case and release keys, or [ErrLocked].
func (v *Vault) DeskKey() (Key, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.private == nil {
		return Key{}, ErrLocked
	}
	return v.desk, nil
}

// OpenSealed opens what [Public.Seal] sealed under the same info.
func (v *Vault) OpenSealed(info string, sealed []byte) ([]byte, error) {
	private, err := v.privateKey()
	if err != nil {
		return nil, err
	}
	padded, err := openWith(private, encode("sealed", []byte(info)), sealed)
	if err != nil {
		return nil, err
	}
	return unpad(padded)
}

// OpenArrival returns the key of the arrival. Afterwards it is wrapped under
// the case's key and the encapsulation erased.
func (v *Vault) OpenArrival(meta ArrivalMeta, encapsulation []byte) (Key, error) {
	private, err := v.privateKey()
	if err != nil {
		return Key{}, err
	}
	if meta.VaultKey != v.record.KeyID {
		return Key{}, fmt.Errorf("open arrival %s: %w", meta.ID, ErrOtherVaultKey)
	}
	b, err := openWith(private, meta.encode("arrival"), encapsulation)
	if err != nil {
		return Key{}, err
	}
	defer clear(b)
	k, err := KeyFromBytes(b)
	if err != nil {
		return Key{}, ErrOpen
	}
	return k, nil
}

func (v *Vault) privateKey() (hpke.PrivateKey, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.private == nil {
		return nil, ErrLocked
	}
	return v.private, nil
}

// AddSlot wraps the private half under one more secret. The caller stores the
// slot; this vault knows it at once, other processes after [Vault.SetSlots].
func (v *Vault) AddSlot(kind SlotKind, label, secret string, now time.Time, cost Cost) (Slot, error) {
	v.mu.RLock()
	seed, locked := v.seed, v.private == nil
	v.mu.RUnlock()
	if locked {
		return Slot{}, ErrLocked
	}
	s, err := newSlot(v.instance, v.record.KeyID, seed, kind, label, secret, now, cost)
	if err != nil {
		return Slot{}, fmt.Errorf("make the slot of %s: %w", label, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slots = append(slices.Clone(v.slots), s)
	return s, nil
}

// SetSlots replaces the slots by those now stored: one was added or removed.
func (v *Vault) SetSlots(slots []Slot) error {
	if len(slots) == 0 {
		return ErrLastSlot
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slots = slices.Clone(slots)
	return nil
}

// Slots returns the slots, in the order stored.
func (v *Vault) Slots() []Slot {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Clone(v.slots)
}

// Public returns the pair's public half, which seals while the vault is locked.
func (v *Vault) Public() *Public { return v.public }

// Instance returns whose vault it is.
func (v *Vault) Instance() InstanceID { return v.instance }
