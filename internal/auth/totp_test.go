package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/auth"
)

var (
	rfcSecret = auth.TOTPSecret("12345678901234567890")
	noon      = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // begins a step
)

func TestTOTPCodeTruncatesTheVectors(t *testing.T) {
	for unix, want := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924"} {
		if got := auth.TOTPCode(rfcSecret, time.Unix(unix, 0)); got != want {
			t.Errorf("TOTPCode at %d = %s, want %s", unix, got, want)
		}
	}
}

func TestCheckTOTPWindow(t *testing.T) {
	step := noon.Unix() / 30
	for _, c := range []struct {
		made time.Duration // when the code was shown, from noon
		want int64         // 0: refused
	}{
		{-31 * time.Second, 0}, {-30 * time.Second, step - 1}, {-time.Second, step - 1},
		{0, step}, {29 * time.Second, step}, {30 * time.Second, step + 1}, {59 * time.Second, step + 1}, {60 * time.Second, 0},
	} {
		code := auth.TOTPCode(rfcSecret, noon.Add(c.made))
		got, err := auth.CheckTOTP(rfcSecret, code, noon, 0)
		if c.want == 0 && !errors.Is(err, auth.ErrWrongCode) || c.want != 0 && (err != nil || got != c.want) {
			t.Errorf("CheckTOTP of a code from %v = %d, %v, want %d", c.made, got, err, c.want)
		}
	}
}

func TestCheckTOTPRefusesReplays(t *testing.T) {
	code := auth.TOTPCode(rfcSecret, noon)
	step, err := auth.CheckTOTP(rfcSecret, code, noon, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, 10 * time.Second, 31 * time.Second} {
		got, err := auth.CheckTOTP(rfcSecret, code, noon.Add(later), step)
		if !errors.Is(err, auth.ErrUsedCode) || got != step {
			t.Errorf("the code again after %v = %d, %v, want ErrUsedCode", later, got, err)
		}
	}
	before := auth.TOTPCode(rfcSecret, noon.Add(-30*time.Second))
	if _, err := auth.CheckTOTP(rfcSecret, before, noon, step); !errors.Is(err, auth.ErrUsedCode) {
		t.Errorf("an earlier code after a later one = %v, want ErrUsedCode", err)
	}
	next := auth.TOTPCode(rfcSecret, noon.Add(30*time.Second))
	if got, err := auth.CheckTOTP(rfcSecret, next, noon.Add(30*time.Second), step); err != nil || got != step+1 {
		t.Errorf("the next code = %d, %v, want %d", got, err, step+1)
	}
}

func TestCheckTOTPRefusesOtherThings(t *testing.T) {
	code := auth.TOTPCode(rfcSecret, noon)
	for _, typed := range []string{"", "0", code[:5], code + "0", "abcdef", strings.Repeat("1", 1<<16), "+" + code[1:]} {
		if _, err := auth.CheckTOTP(rfcSecret, typed, noon, 0); !errors.Is(err, auth.ErrWrongCode) {
			t.Errorf("CheckTOTP(%.10q) = %v, want ErrWrongCode", typed, err)
		}
	}
	if _, err := auth.CheckTOTP(rfcSecret, " "+code[:3]+" "+code[3:]+"\n", noon, 0); err != nil {
		t.Errorf("CheckTOTP with spaces = %v, want nil", err)
	}
	if _, err := auth.CheckTOTP(nil, auth.TOTPCode(nil, noon), noon, 0); !errors.Is(err, auth.ErrWrongCode) {
		t.Errorf("CheckTOTP without a secret = %v, want ErrWrongCode", err)
	}
	if _, err := auth.CheckTOTP(auth.TOTPSecret("09876543210987654321"), code, noon, 0); !errors.Is(err, auth.ErrWrongCode) {
		t.Errorf("CheckTOTP with another secret = %v, want ErrWrongCode", err)
	}
}

func TestTOTPSecret(t *testing.T) {
	s := auth.NewTOTPSecret()
	if len(s) != 20 || bytes.Equal(s, auth.NewTOTPSecret()) {
		t.Errorf("NewTOTPSecret has %d bytes, or is the same twice", len(s))
	}
	text := s.Base32()
	for _, typed := range []string{text, strings.ToLower(text), text[:8] + " " + text[8:] + "\n", text + "===="} {
		if got, err := auth.ParseTOTPSecret(typed); err != nil || !bytes.Equal(got, s) {
			t.Errorf("ParseTOTPSecret of its own text: other bytes, %v", err)
		}
	}
	for _, typed := range []string{"", "A", "not base32!", "MFRGG"} {
		if _, err := auth.ParseTOTPSecret(typed); !errors.Is(err, auth.ErrBadTOTPSecret) {
			t.Errorf("ParseTOTPSecret(%q) = %v, want ErrBadTOTPSecret", typed, err)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", rfcSecret)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", rfcSecret)
	out := fmt.Sprintf("%v %s %x %d %#v", rfcSecret, rfcSecret, rfcSecret, rfcSecret, rfcSecret) + log.String()
	for _, secret := range []string{"1234567890123", "49 50", "313233", rfcSecret.Base32()} {
		if strings.Contains(out, secret) {
			t.Errorf("printing a secret shows %q: %s", secret, out)
		}
	}
}

func TestTOTPURL(t *testing.T) {
	text := auth.TOTPURL("Lantern: security", "ada@example.org", rfcSecret)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Lantern  security:ada@example.org" || strings.Contains(text, "+") {
		t.Errorf("TOTPURL = %s", text)
	}
	want := url.Values{"secret": {"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}, "issuer": {"Lantern  security"}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	if got := u.Query().Encode(); got != want.Encode() {
		t.Errorf("TOTPURL's query = %s, want %s", got, want.Encode())
	}
}
