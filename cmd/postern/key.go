package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"postern/internal/instance"
	"postern/internal/pgp"
)

type keyCmd struct {
	Show   keyShowCmd   `cmd:"" help:"Print the team's certificate, what its subkeys are good for, and the vault's fingerprint."`
	Export keyExportCmd `cmd:"" help:"Print the team's secret key, protected by a passphrase, as gpg imports it."`
	Import keyImportCmd `cmd:"" help:"Take a secret key in; another one than the current retires that. gpg --export-secret-subkeys will do."`
	Renew  keyRenewCmd  `cmd:"" help:"Add fresh signing and encryption subkeys, good for 13 months."`
}

type keyShowCmd struct {
	place `embed:""`
	Armor bool `help:"Print the certificate alone."`
}

func (k *keyShowCmd) Run(ctx context.Context, con *console) error {
	var info instance.KeyInfo
	if err := operate(ctx, con, k.place, "key.show", nil, &info, nil); err != nil {
		return err
	}
	if k.Armor {
		_, err := io.WriteString(con.out, info.Armor)
		return err
	}
	showKey(con, info)
	_, err := io.WriteString(con.out, "\n"+info.Armor)
	return err
}

func showKey(con *console, info instance.KeyInfo) {
	fmt.Fprintf(con.out, "Team key     %s\n", groups(info.Fingerprint))
	for _, id := range info.UserIDs {
		fmt.Fprintf(con.out, "             %s\n", plain(id))
	}
	for _, s := range info.Subkeys {
		fmt.Fprintf(con.out, "  %s\n", subkey(s))
	}
	for _, r := range info.Retired {
		fmt.Fprintf(con.out, "Retired      %s\n", groups(r))
	}
	fmt.Fprintf(con.out, "Vault        %s\n", info.Vault)
}

func subkey(s pgp.Subkey) string {
	var uses []string
	if s.CanSign {
		uses = append(uses, "signs")
	}
	if s.CanEncrypt {
		uses = append(uses, "opens")
	}
	until := "without end"
	if !s.Expires.IsZero() {
		until = "until " + s.Expires.UTC().Format("2 January 2006")
	}
	note := ""
	if s.Revoked {
		note = ", revoked"
	}
	if !s.Available {
		note += ", its secret is kept elsewhere"
	}
	return fmt.Sprintf("%s  %s %s%s", s.Fingerprint, strings.Join(uses, " and "), until, note)
}

// groups writes a fingerprint as people compare it.
func groups(fingerprint string) string {
	var b strings.Builder
	for i, r := range fingerprint {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// keyPhrase protects a key in a file; it is not the vault's.
type keyPhrase struct {
	KeyPassphrase     string `env:"POSTERN_KEY_PASSPHRASE" placeholder:"PHRASE" help:"Passphrase of the key file."`
	KeyPassphraseFile string `env:"POSTERN_KEY_PASSPHRASE_FILE" placeholder:"FILE" help:"File that holds it."`
}

func (p keyPhrase) read(con *console, question string) (string, error) {
	var s string
	err := secrets([]secret{{&s, p.KeyPassphrase, p.KeyPassphraseFile, "POSTERN_KEY_PASSPHRASE"}})
	if err != nil || s != "" {
		return s, err
	}
	return con.secret(question)
}

type keyExportCmd struct {
	place     `embed:""`
	phrase    `embed:""`
	keyPhrase `embed:""`
}

func (k *keyExportCmd) Run(ctx context.Context, con *console) error {
	protect, err := k.keyPhrase.read(con, "Passphrase for the exported key: ")
	if err != nil {
		return err
	}
	if protect == "" {
		return errors.New("a key is not exported without a passphrase")
	}
	var got instance.KeyFile
	if err := operate(ctx, con, k.place, "key.export", instance.KeyFile{Passphrase: protect}, &got, &k.phrase); err != nil {
		return err
	}
	_, err = con.out.Write(got.Key)
	return err
}

type keyImportCmd struct {
	place     `embed:""`
	phrase    `embed:""`
	keyPhrase `embed:""`
	File      string `arg:"" help:"The secret key, in armor or binary; - is standard input."`
}

func (k *keyImportCmd) Run(ctx context.Context, con *console) error {
	b, err := readKey(con, k.File)
	if err != nil {
		return err
	}
	file := instance.KeyFile{Key: b}
	if _, err := pgp.ParseSecret(b, nil); errors.Is(err, pgp.ErrPassphrase) {
		if file.Passphrase, err = k.keyPhrase.read(con, "Passphrase of the key: "); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	var info instance.KeyInfo
	if err := operate(ctx, con, k.place, "key.import", file, &info, &k.phrase); err != nil {
		return err
	}
	showKey(con, info)
	return nil
}

// maxKey bounds what is read as a key.
const maxKey = 512 << 10

func readKey(con *console, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(con.in, maxKey))
	}
	b, err := os.ReadFile(name)
	if err == nil && len(b) > maxKey {
		return nil, fmt.Errorf("%s is too large for a key", name)
	}
	return b, err
}

type keyRenewCmd struct {
	place  `embed:""`
	phrase `embed:""`
}

func (k *keyRenewCmd) Run(ctx context.Context, con *console) error {
	var info instance.KeyInfo
	if err := operate(ctx, con, k.place, "key.renew", nil, &info, &k.phrase); err != nil {
		return err
	}
	showKey(con, info)
	return nil
}
