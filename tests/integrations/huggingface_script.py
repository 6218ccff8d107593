"""A script with Hugging Face's Trainer as people have them: a tiny Llama from a config, with dropout, on sequences."""

import argparse
import json
import os
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

from autosched.integrations.huggingface import TuneCallback

SIZES = {"vocab_size": 16, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}


class Sequences(torch.utils.data.Dataset):
    """Counting, modulo 16, from different numbers on; 44 examples, or 11 batches."""

    def __init__(self, count=44, take=lambda: None):
        draw = torch.Generator().manual_seed(1)
        self.rows, self.take = (torch.randint(16, (count, 1), generator=draw) + torch.arange(12)) % 16, take

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        self.take()
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


def train(out, *, seed=0, callbacks=None, take=lambda: None, **settings):
    """Train 12 updates with the script's own cosine, or what a study says; gives the Trainer."""
    set_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, num_attention_heads=2, attention_dropout=0.3))
    arguments = {
        "per_device_train_batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 3, "max_steps": 12,
        "weight_decay": 0.1, "lr_scheduler_type": "cosine",
        "eval_strategy": "epoch", "logging_steps": 1, "save_strategy": "epoch",
        "report_to": [], "disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False,
    }  # fmt: skip
    tune = TuneCallback()
    trainer = Trainer(
        model,
        TrainingArguments(str(out), seed=seed, **{**arguments, **settings}),
        train_dataset=Sequences(take=take),
        eval_dataset=Sequences(8),
        callbacks=[tune] if callbacks is None else callbacks,
    )
    trainer.train(resume_from_checkpoint=tune.checkpoint)
    return trainer


def lrs_of(trainer):
    """The LR of every update, as the Trainer logged it."""
    return [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    trained = train(args.out, seed=args.seed)
    weights = [float(value.detach().double().sum()) for value in trained.model.parameters()]
    said = {"lrs": lrs_of(trained), "steps": trained.state.global_step, "weights": weights}
    Path(args.out, f"{os.environ['RANK']}.json").write_text(json.dumps(said))
