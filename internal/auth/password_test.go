package auth_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"postern/internal/auth"
)

const password = "correct horse battery"

func hash(t *testing.T, pw string) string {
	t.Helper()
	h, err := auth.HashPassword(pw, auth.TestCost)
	if err != nil {
		t.Fatalf("HashPassword: %v", err)
	}
	return h
}

func TestCheckPassword(t *testing.T) {
	h := hash(t, password)
	if !strings.HasPrefix(h, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("HashPassword = %q, which is no PHC string of the cost asked for", h)
	}
	if h == hash(t, password) {
		t.Error("the same password gave the same hash twice")
	}
	composed, decomposed := "caf\u00e9 au lait bowl", "cafe\u0301 au lait bowl"
	for _, c := range []struct {
		name, stored, typed string
		want                error
	}{
		{"right", h, password, nil},
		{"composed otherwise", hash(t, composed), decomposed, nil},
		{"other", h, "correct horse batterz", auth.ErrWrongPassword},
		{"other case", h, strings.ToUpper(password), auth.ErrWrongPassword},
		{"empty", h, "", auth.ErrWrongPassword},
		{"longer", h, password + " ", auth.ErrWrongPassword},
		{"huge", h, strings.Repeat("x", 1<<20), auth.ErrWrongPassword},
		{"longest and one more", hash(t, strings.Repeat("x", auth.MaxPassword)), strings.Repeat("x", auth.MaxPassword+1), auth.ErrWrongPassword},
		{"longest", hash(t, strings.Repeat("x", auth.MaxPassword)), strings.Repeat("x", auth.MaxPassword), nil},
	} {
		if got := auth.CheckPassword(c.stored, c.typed); !errors.Is(got, c.want) {
			t.Errorf("CheckPassword, %s = %v, want %v", c.name, got, c.want)
		}
	}
	if _, err := auth.HashPassword(strings.Repeat("x", auth.MaxPassword+1), auth.TestCost); !errors.Is(err, auth.ErrLongPassword) {
		t.Errorf("HashPassword of a huge password = %v, want ErrLongPassword", err)
	}
}

// Argon2id's own vector, from the reference implementation's test suite
// (phc-winner-argon2, src/test.c: version 0x13, t=2, m=2^16 KiB, p=1).
func TestPHCStringOfTheReferenceImplementation(t *testing.T) {
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if err := auth.CheckPassword(reference, "password"); err != nil {
		t.Errorf("CheckPassword(reference) = %v, want nil", err)
	}
	got := hex.EncodeToString(argon2.IDKey([]byte("password"), []byte("somesalt"), 2, 65536, 1, 32))
	if want := "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"; got != want {
		t.Errorf("Argon2id = %s, want %s", got, want)
	}
}

func TestBadHashesAreRefused(t *testing.T) {
	h := hash(t, password)
	salt := strings.Split(h, "$")[4]
	for _, bad := range []string{
		"", "x", password, "$2b$10$abcdefghijklmnopqrstuv",
		strings.Replace(h, "argon2id", "argon2i", 1),
		strings.Replace(h, "v=19", "v=16", 1),
		strings.Replace(h, "m=64", "m=4294967295", 1),
		strings.Replace(h, "m=64", "m=4294967360", 1), // 64 again after an overflow
		strings.Replace(h, "m=64", "m=1", 1),
		strings.Replace(h, "m=64", "m=+64", 1),
		strings.Replace(h, "m=64", "m= 64", 1),
		strings.Replace(h, "t=1", "t=0", 1),
		strings.Replace(h, "t=1", "t=1000000", 1),
		strings.Replace(h, "p=1", "p=0", 1),
		strings.Replace(h, "p=1", "p=1,x=2", 1),
		strings.Replace(h, salt, "", 1),
		strings.Replace(h, salt, "!!!", 1),
		h[:len(h)-30], h + "$", h + "=", "$" + h, h + "\n",
	} {
		if err := auth.CheckPassword(bad, password); !errors.Is(err, auth.ErrBadHash) {
			t.Errorf("CheckPassword(%q) = %v, want ErrBadHash", bad, err)
		}
	}
	for _, cost := range []auth.Cost{{}, {Time: 1}, {Time: 1, MemoryKiB: 7, Threads: 1}, {Time: 1, MemoryKiB: 1 << 30, Threads: 1}, {Time: 99, MemoryKiB: 64, Threads: 1}} {
		if h, err := auth.HashPassword(password, cost); err == nil || h != "" {
			t.Errorf("HashPassword at %+v gave %q", cost, h)
		}
		if h, err := auth.DummyHash(cost); err == nil || h != "" {
			t.Errorf("DummyHash at %+v gave %q", cost, h)
		}
	}
}

func TestDummyHash(t *testing.T) {
	dummy, err := auth.DummyHash(auth.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, pw := range []string{"", password, dummy} {
		if err := auth.CheckPassword(dummy, pw); !errors.Is(err, auth.ErrWrongPassword) {
			t.Errorf("CheckPassword(dummy, %q) = %v, want ErrWrongPassword", pw, err)
		}
	}
	if auth.NeedsRehash(dummy, auth.TestCost) || len(dummy) != len(hash(t, password)) {
		t.Errorf("the dummy %q differs from a real hash in cost or length", dummy)
	}
}

func TestNeedsRehash(t *testing.T) {
	h := hash(t, password)
	if auth.NeedsRehash(h, auth.TestCost) {
		t.Error("NeedsRehash at the same cost = true")
	}
	if !auth.NeedsRehash(h, auth.DefaultCost) || !auth.NeedsRehash("x", auth.TestCost) {
		t.Error("NeedsRehash at another cost, or of no hash = false")
	}
}

func TestAcceptPassword(t *testing.T) {
	names := []string{"Ada Lovelace", "ada@example.org", "ada", ""}
	for _, c := range []struct {
		password string
		want     error
	}{
		{"correct horse battery", nil},
		{"only lowercase", nil},
		{"twelve chars", nil},
		{"пароль длинный", nil},
		{"eleven char", auth.ErrShortPassword},
		{"äöüäöüäöüäö", auth.ErrShortPassword}, // 22 bytes
		{"", auth.ErrShortPassword},
		{"aaaaaaaaaaaaaaaaaa", auth.ErrUniformPassword},
		{"            ", auth.ErrUniformPassword},
		{"Ada Lovelace", auth.ErrPersonalPassword},
		{"adalovelace ", auth.ErrPersonalPassword},
		{"ADA@EXAMPLE.ORG", auth.ErrPersonalPassword},
		{"ada@example.org and more", nil},
		{strings.Repeat("ab", auth.MaxPassword/2), nil},
		{strings.Repeat("ab", auth.MaxPassword), auth.ErrLongPassword},
	} {
		if got := auth.AcceptPassword(c.password, names...); !errors.Is(got, c.want) {
			t.Errorf("AcceptPassword(%.30q) = %v, want %v", c.password, got, c.want)
		}
	}
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$$")
	f.Add("")
	f.Fuzz(func(t *testing.T, stored string) {
		if strings.Contains(stored, "m=") && !strings.Contains(stored, "m=64,t=1,p=1$") {
			t.Skip("a real cost, only slow")
		}
		if err := auth.CheckPassword(stored, password); !errors.Is(err, auth.ErrBadHash) && !errors.Is(err, auth.ErrWrongPassword) {
			t.Errorf("CheckPassword(%q) = %v", stored, err)
		}
	})
}
