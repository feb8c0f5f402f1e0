package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// TOTP as every authenticator app knows it: RFC 6238 with HMAC-SHA-1, six
// digits, thirty seconds.
const (
	totpPeriod = 30
	totpDigits = 6
	totpWindow = 1 // steps before and after the present one (RFC 6238 §5.2)
	totpSecret = 20
)

var (
	// ErrWrongCode says that the code is not of this time and secret.
	ErrWrongCode = errors.New("wrong code")
	// ErrUsedCode says that the code was right and has been used before
	// (RFC 6238 §5.2: one time only).
	ErrUsedCode = errors.New("this code has been used already: wait for the next one")
	// ErrBadTOTPSecret says that a text is no TOTP secret.
	ErrBadTOTPSecret = errors.New("this is not a TOTP secret")
)

// TOTPSecret is the secret shared with a member's authenticator, 20 bytes. fmt
// and slog write "[totp secret]"; convert to []byte to seal it.
type TOTPSecret []byte

const redactedSecret = "[totp secret]"

func (s TOTPSecret) String() string             { return redactedSecret }
func (s TOTPSecret) LogValue() slog.Value       { return slog.StringValue(redactedSecret) }
func (s TOTPSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedSecret) }

var totpBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// Base32 returns the secret as it is typed into an authenticator.
func (s TOTPSecret) Base32() string { return totpBase32.EncodeToString(s) }

// NewTOTPSecret returns a random secret.
func NewTOTPSecret() TOTPSecret {
	s := make(TOTPSecret, totpSecret)
	_, _ = rand.Read(s) // never fails since Go 1.24
	return s
}

// ParseTOTPSecret reads base32 as people copy it: any case, spaces, padding.
func ParseTOTPSecret(text string) (TOTPSecret, error) {
	text = strings.ToUpper(strings.Join(strings.Fields(text), ""))
	b, err := totpBase32.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(b) < 16 {
		return nil, ErrBadTOTPSecret
	}
	return b, nil
}

// TOTPCode returns the code of the moment t, six digits.
func TOTPCode(secret TOTPSecret, t time.Time) string {
	return hotp(secret, totpStep(t), totpDigits)
}

func totpStep(t time.Time) int64 { return t.Unix() / totpPeriod }

// CheckTOTP checks a code typed at t. lastUsedStep is what the last success
// returned, 0 at first; a code of that step or an earlier one is refused with
// [ErrUsedCode]. The caller stores the step returned in the transaction that
// signs in, comparing it again there, so that two at once cannot both succeed.
// Spaces in the code are ignored.
func CheckTOTP(secret TOTPSecret, code string, t time.Time, lastUsedStep int64) (step int64, err error) {
	typed := []byte(strings.Join(strings.Fields(code), ""))
	found := int64(-1)
	for s := totpStep(t) - totpWindow; s <= totpStep(t)+totpWindow; s++ {
		// The later step wins where two have the same code: it stays usable.
		if subtle.ConstantTimeCompare([]byte(hotp(secret, s, totpDigits)), typed) == 1 {
			found = s
		}
	}
	switch {
	case len(secret) == 0 || found < 0:
		return lastUsedStep, ErrWrongCode
	case found <= lastUsedStep:
		return lastUsedStep, ErrUsedCode
	}
	return found, nil
}

// hotp is RFC 4226 §5.3.
func hotp(secret []byte, counter int64, digits int) string {
	h := hmac.New(sha1.New, secret)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(counter)))
	sum := h.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	value := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	modulus := uint32(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, value%modulus)
}

// TOTPURL returns the otpauth address that authenticators read from a QR code.
// It holds the secret.
func TOTPURL(issuer, account string, secret TOTPSecret) string {
	issuer = strings.ReplaceAll(issuer, ":", " ")
	account = strings.ReplaceAll(account, ":", " ")
	// Some apps show a plus sign as it is, so that spaces are written %20.
	query := strings.ReplaceAll(url.Values{
		"secret":    {secret.Base32()},
		"issuer":    {issuer},
		"algorithm": {"SHA1"},
		"digits":    {fmt.Sprint(totpDigits)},
		"period":    {fmt.Sprint(totpPeriod)},
	}.Encode(), "+", "%20")
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) + "?" + query
}
