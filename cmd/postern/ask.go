package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/internal/instance"
)

var errNoAnswer = errors.New("standard input ended before the question was answered")

// ask puts a question on standard error, so that a result can be redirected,
// and reads one line.
func (c *console) ask(question string) (string, error) {
	fmt.Fprint(c.errors, question)
	line, err := c.in.ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		if errors.Is(err, io.EOF) {
			err = errNoAnswer
		}
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// secret asks without showing what is typed, where standard input is a terminal.
func (c *console) secret(question string) (string, error) {
	restore := quietTerminal(c.file)
	answer, err := c.ask(question)
	if restore() {
		fmt.Fprintln(c.errors)
	}
	return answer, err
}

// must asks until something is typed, three times at most.
func (c *console) must(question, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	for range 3 {
		answer, err := c.ask(question)
		if err != nil {
			return "", err
		}
		if answer = strings.TrimSpace(answer); answer != "" {
			return answer, nil
		}
	}
	return "", fmt.Errorf("no answer to %q", strings.TrimSpace(question))
}

// operate gives a command to the running Postern, else opens the database
// itself, and asks for a passphrase where the command opens what is sealed.
func operate(ctx context.Context, con *console, p place, name string, args, result any, unlock *phrase) error {
	err := instance.Ask(ctx, p.Data, name, args, result)
	if !errors.Is(err, instance.ErrNotRunning) {
		return err
	}
	conf, err := p.config()
	if err != nil {
		return err
	}
	conf.Log, conf.Progress = logger(con.errors, true), con.progress
	o, err := instance.Open(ctx, conf)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.DB.Vault() == nil {
		return instance.ErrNotSetUp
	}
	if unlock != nil {
		secret, err := unlock.read()
		if err == nil && secret == "" {
			secret, err = con.secret("Passphrase: ")
		}
		if err != nil {
			return err
		}
		if _, err := o.DB.Vault().Unlock(secret); err != nil {
			return err
		}
	}
	return o.Commands.Do(ctx, name, args, result)
}

func (c *console) progress(line string) { fmt.Fprintln(c.errors, line) }
