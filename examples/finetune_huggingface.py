"""Fine-tuning with Hugging Face's Trainer, made tunable by three lines, which say so.

python finetune_huggingface.py                        trains with the Trainer's own schedule
autosched tune --space finetune_huggingface.yaml      finds a better one, and prints the gain over it

So that nothing is downloaded, the model is a small BERT made from a config and the data are scikit-learn's digits, read
pixel by pixel; with a model of yours, `from_pretrained` takes the config's place.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

from autosched.integrations.huggingface import TuneCallback  # added

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=160)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

pixels, labels = load_digits(return_X_y=True)
examples = [{"input_ids": row, "labels": int(label)} for row, label in zip(torch.tensor(pixels).long(), labels)]  # noqa: B905
set_seed(args.seed)
config = BertConfig(
    vocab_size=17,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=64,
    num_labels=10,
)
arguments = TrainingArguments(
    "finetuned",
    max_steps=args.steps,
    per_device_train_batch_size=32,
    learning_rate=1e-3,
    lr_scheduler_type="cosine",
    warmup_steps=10,
    seed=args.seed,
    eval_strategy="steps",
    eval_steps=20,
    save_strategy="no",
    report_to=[],
    disable_tqdm=True,
)
tune = TuneCallback()  # added
trainer = Trainer(
    BertForSequenceClassification(config),
    arguments,
    train_dataset=examples[:1297],
    eval_dataset=examples[1297:],
    callbacks=[tune],  # added
)
trainer.train()
